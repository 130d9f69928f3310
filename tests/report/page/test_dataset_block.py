"""What the page says of a dataset: its protocol, what its audit found, and where it is not what was published."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medbench.audit.neighbours import neighbours
from medbench.audit.results import AuditResult
from medbench.config.page_sections import PageStage, ReportStage
from medbench.config.study import Config
from medbench.data.dataset import Card, Dataset, card_path
from medbench.report.audit.findings import audit_findings
from medbench.report.page.regenerate import NeededFile, needed_files
from medbench.report.page.write import write_page
from medbench.run.files import write_text
from medbench.run.formats import read_json, read_model
from tests.helpers.parsed_page import text_of
from tests.helpers.records import save, write_json, write_sums

CONFIG = {
    "name": "r",
    "datasets": {
        "ct_aspub": {"kind": "chest_ct", "image_size": 64},
        "ct": {"kind": "chest_ct", "image_size": 64, "protocol": "clean"},
        "tongue": {
            "kind": "tongue",
            "publisher": "tonguexpert",
            "labels": "labels_tai",
            "image_size": 64,
        },
        "own": {"kind": "npz", "path": "own.npz"},
    },
    "augmenters": {"a": {"kind": "cvae"}},
    "fidelity": {"weights": "random", "n_generated": 40},
    "studies": {
        "s": {"datasets": ["ct_aspub", "ct"], "augmenters": ["a"], "generator_seeds": [0], "arms": ["real"]},
        "t": {"datasets": ["tongue", "own"], "arms": ["real"]},
    },
    "run": ["s", "t"],
}


@pytest.fixture
def page(protocol_run, tmp_path):
    """A function that writes the page of a run with a pair of datasets, after `change` was done to its folder."""

    def make(change: Callable[[Path], object] = lambda folder: None, partial=False) -> str:
        results = protocol_run(tmp_path / "run", arms=("real",))
        change(tmp_path / "run")
        stage = {key: value for key, value in vars(results).items() if key in ReportStage.model_fields}
        studies = [ReportStage(**stage | {"papers": []})]
        out = tmp_path / ("run/partial/report.html" if partial else "run/report.html")
        write_page(tmp_path / "run", PageStage(name="r", studies=studies, config=CONFIG), out, partial)
        return out.read_text("utf-8")

    return make


def block(html: str, name: str) -> str:
    """The text of one dataset's article."""
    articles = re.findall(r'<article class="dataset">(.*?)</article>', html, re.DOTALL)
    return next(article for article in articles if f'"Images per class of {name}"' in article)


def test_the_audit_of_a_dataset_is_told_with_its_worst_findings(page, tmp_path):
    html = page(lambda folder: write_text(folder / "audit/ct.html", "all of it"))
    published, clean = block(html, "ct_aspub"), block(html, "ct")
    told = audit_findings(read_model(tmp_path / "run/audit/ct.json", AuditResult))
    assert len(told) > 3
    shown = re.findall(r"<li>(.*?)</li>", clean)
    assert shown[:3] == told[:3]
    assert told[3] not in clean
    said = text_of(clean)
    assert f"And {len(told) - 3} more. Protocol clean: 5 of 60 images removed, 3 that repeat another and 2" in said
    assert "Protocol clean: one copy of each distinct image, kept in test before val before train" in said
    assert "Protocol as_published: 0 of 60 images removed." in text_of(published)
    assert "Task multi-class" in said
    assert re.findall(r'<a href="([^"]*)">The whole audit</a>', clean) == ["audit/ct.html"]
    assert "The whole audit" not in published  # whose page is not there


def test_whether_patients_are_known_stands_with_the_dataset_and_its_verdict(page):
    def known(folder: Path) -> None:
        path = folder / "datasets/ct.json"
        write_json(path, read_json(path) | {"patients": "known"})

    html = page(known)
    answer = text_of(html[: html.index('id="missing"')])
    for name, said in (("ct", "known"), ("ct_aspub", "not known, each image counts by itself")):
        assert f"<dt>Patients</dt><dd>{said}</dd>" in block(html, name)
        assert f"Patients: {said}." in answer.partition(f" {name} (equal optimiser steps)")[2].partition("(equal")[0]


def test_what_features_say_is_told_where_they_are_of_these_images(page, tiny_dataset):
    dataset, rng = tiny_dataset(), np.random.RandomState(0)
    train, test = (rng.standard_normal((40, 768)).astype(np.float32) for _ in range(2))
    test[0] = train[1]

    def close(folder: Path) -> None:
        found = neighbours(dataset, train, test, 768, "Inception")
        for name in ("ct", "ct_aspub"):  # of the latter those of another version
            sha256 = read_json(folder / f"datasets/{name}.json")["npz_sha256"] if name == "ct" else "0" * 64
            of_it = found.model_copy(update={"dataset_sha256": sha256})
            page, file = (folder / f"audit/{name}.neighbours.{ending}" for ending in ("html", "json"))
            write_json(file, of_it.model_dump(mode="json"))
            write_text(page, "the closest pairs")

    html = page(close)
    said = text_of(block(html, "ct"))
    assert "in features 1 of 40 test images lies suspiciously close to a training image" in said
    assert '<a href="audit/ct.neighbours.html">The closest pairs</a>' in block(html, "ct")
    assert "suspiciously" not in block(html, "ct_aspub")


def test_a_partial_page_links_to_the_audit_from_where_it_lies(page, tiny_dataset):
    def whole(folder: Path) -> None:
        write_text(folder / "audit/ct.html", "all of it")
        path = folder / "datasets/ct.npz"
        save(Dataset(tiny_dataset().splits, read_model(card_path(path), Card)), path)

    html = page(whole, partial=True)
    assert '<a href="../audit/ct.html">The whole audit</a>' in html


def test_an_older_run_without_audits_shows_none(page):
    html = page(lambda folder: [path.unlink() for path in folder.glob("audit/*")])
    assert "Audit of the images" not in html
    assert "The whole audit" not in html


def test_accepted_changes_stand_with_the_dataset_and_above_everything(page):
    def accept(folder: Path) -> None:
        path = folder / "datasets/ct.json"
        write_json(path, read_json(path) | {"accepted": ["two <b>files</b> more (accepted)"]})

    html = page(accept)
    assert "<b>" not in html
    assert "two &lt;b&gt;files&lt;/b&gt; more (accepted)" in block(html, "ct")
    assert "Not what was published" not in block(html, "ct_aspub")
    warning = "Warning. ct is not what was published, which was accepted: two &lt;b&gt;files&lt;/b&gt; more."
    assert warning in text_of(html[: html.index('id="missing"')])


def test_leakage_has_its_place_after_utility(page, tmp_path):
    def figures(folder):
        write_text(folder / "figures/demo/leakage.svg", "<svg/>")
        write_sums(folder / "figures/demo")

    html = page(figures)
    blocks = re.findall(r'<div class="block" id="demo-(\w+)">', html)
    assert blocks[blocks.index("utility") + 1] == "leakage"
    part = html[html.index('id="demo-leakage"') :].split('<div class="block"')[0]
    assert "<strong>What the protocol changes.</strong>" in part
    assert "What the protocol changes: AUROC as published and clean" in part
    assert "Same classifiers, test images that also stand in train or val left out" in part
    assert "tables/demo/leakage.csv" in part
    assert "ct_aspub → ct (clean)" in part
    assert "A difference of two protocols is not the share of an AUROC that is leakage" in part


def test_files_are_listed_once_by_how_they_come(page):
    cards = {name: card(name, sha256) for name, sha256 in (("ct", "c" * 64), ("ct_aspub", "c" * 64), ("own", None))}
    ct, *others = sorted(needed_files(Config.model_validate(CONFIG), cards), key=lambda file: not file.fetched)
    assert ct == NeededFile(
        "datasets ct_aspub, ct",
        "https://www.kaggle.com/api/v1/datasets/download/mohamedhanyyy/chest-ctscan-images",
        "c" * 64,
        fetched=True,
        listing=True,
    )
    assert others == [
        NeededFile("dataset own", "own.npz", None),
        NeededFile(
            "dataset tongue",
            "resources/tonguexpert/TonguExpertDatabase.zip",
            None,
            listing=True,
            page="https://www.biosino.org/TonguExpert",
        ),
    ]
    text = text_of(page().partition('id="regenerate"')[2])
    by_themselves, placed = text.split("These files must be there before:")
    assert "datasets ct_aspub, ct: https://www.kaggle.com" in by_themselves
    assert "which you get by hand from https://www.biosino.org/TonguExpert" in placed
    assert "dataset own: own.npz" in placed


def test_a_hash_stands_by_its_file_and_says_what_it_is_of(page):
    def change(folder):
        for name in ("ct_aspub", "ct"):
            path = folder / f"datasets/{name}.json"
            write_json(path, read_json(path) | {"source_sha256": "c" * 64})

    text = text_of(page(change).partition('id="regenerate"')[2])
    assert f"sha256 of the list of its used files, each with its own sha256 {'c' * 64}" in " ".join(text.split())
    assert "sha256" not in text_of(page().partition('id="regenerate"')[2]).partition("The config, defaults")[0]


def test_entries_that_used_different_files_of_one_archive_share_no_hash():
    cards = {name: card(name, sha256) for name, sha256 in (("ct", "c" * 64), ("ct_aspub", "d" * 64))}
    (ct,) = [file for file in needed_files(Config.model_validate(CONFIG), cards) if file.fetched]
    assert ct.sha256 is None


def test_the_hash_of_one_file_is_called_no_list():
    cards = {"own": card("own", "e" * 64)}
    found = {file.what: file for file in needed_files(Config.model_validate(CONFIG), cards)}
    assert found["dataset own"] == NeededFile("dataset own", "own.npz", "e" * 64)


def card(name: str, sha256: str | None) -> Card:
    stated = dict.fromkeys(("title", "source", "licence", "citation"), "")
    shape = {"classes": ["a"], "channels": 1, "image_size": (8, 8), "counts": {}}
    return Card(name=name, **stated, **shape, source_sha256=sha256)
