"""Datasets fetched, prepared and audited by Snakemake, from a mirror or from where a user has put them."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from medbench.data.known import CHEST_CT, TONGUE
from medbench.run.files import sha256_of
from tests.data.known import numbered, write_image

FILE = TONGUE.remote.file
MINE = """
name: mine
datasets:
  tongue: {accept: changed, image_size: 16}
studies:
  mine: {datasets: [tongue], arms: [real]}
utility: {init: scratch}
run: [mine]
"""
AUDIT = "results/mine/audit/tongue.json"


@pytest.fixture
def mirror(tmp_path):
    """A folder with an archive that looks like Tri-Dhat's; one photograph stands in train and in test."""
    folder = tmp_path / "photographs"
    names = numbered({f"{split}/{cls}": 6 for split in ("train", "val", "test") for cls in TONGUE.classes})
    for seed, name in enumerate(names):
        write_image(folder / f"{name}.jpg", seed, "RGB", (24, 24))
    shutil.copy(folder / "train/vata/0.jpg", folder / "test/vata/5.jpg")
    (tmp_path / "mirror").mkdir()
    with zipfile.ZipFile(tmp_path / "mirror" / FILE, "w") as archive:
        for path in sorted(folder.rglob("*.jpg")):
            archive.write(path, path.relative_to(folder))
    return tmp_path / "mirror"


@pytest.fixture
def snakemake(root, tmp_path):
    """A function: Snakemake in an empty folder, with these variables; what it said."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "config.yaml").symlink_to(root / "config.yaml")
    (tmp_path / "mine.yaml").write_text(MINE)

    def run(*arguments: str, fails: bool = False, **variables: str) -> str:
        command = [Path(sys.executable).parent / "snakemake", "--snakefile", root / "Snakefile", "--directory", work]
        command += ["--cores", "1", "--configfile", tmp_path / "mine.yaml", "--", *arguments]
        environment = {**os.environ, **variables}
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env=environment)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_a_dataset_comes_from_a_mirror_and_is_audited(snakemake, mirror, tmp_path):
    snakemake(AUDIT, "results/mine/audit/tongue.html", MEDBENCH_MIRROR=str(mirror))
    work = tmp_path / "work"
    found = json.loads((work / AUDIT).read_text())
    assert [copy["label"] for copy in found["exact"]["test_copies"]] == ["vata"]
    assert [removal["image"]["split"] for removal in found["removals"]] == ["train"]
    card = json.loads((work / "results/mine/datasets/tongue.json").read_text())
    assert card["protocol"] == "clean"
    assert card["counts"] == {"train": [6, 6, 5], "val": [6, 6, 6], "test": [6, 6, 6]}
    assert card["accepted"][0].startswith(f"{FILE} has md5:")
    page = (work / "results/mine/audit/tongue.html").read_text()
    assert "1 of 6 test images of class vata is pixel-identical to a training image." in page
    assert "Nothing to be done" in snakemake(AUDIT, MEDBENCH_MIRROR=str(mirror))


def test_a_file_in_its_place_needs_no_network_and_is_never_deleted(snakemake, mirror, tmp_path):
    said = snakemake("fetch_all", fails=True, MEDBENCH_OFFLINE="1")
    assert f"resources/tongue/{FILE}" in said and "zenodo.org" in said
    placed = tmp_path / "work/resources/tongue" / FILE
    placed.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(mirror / FILE, placed)
    before = sha256_of(placed)
    snakemake("fetch_all", MEDBENCH_OFFLINE="1")
    record = json.loads(placed.with_name(f"{FILE}.fetched.json").read_text())
    assert record["sha256"] == before == sha256_of(placed)
    assert record["members"] == 54


def test_a_file_that_is_not_what_was_published_stops_before_anything_is_made_of_it(snakemake, mirror, tmp_path):
    (tmp_path / "mine.yaml").write_text(MINE.replace("accept: changed, ", ""))
    said = snakemake(AUDIT, fails=True, MEDBENCH_MIRROR=str(mirror))
    assert TONGUE.remote.hash.partition(":")[2] in said
    assert not (tmp_path / "work/resources/tongue" / FILE).exists()
    assert not (tmp_path / "work/results/mine/datasets").exists()


def test_what_no_program_can_download_is_asked_for_before_any_job(snakemake, tmp_path):
    expert = "tongue: {publisher: tonguexpert, labels: labels_tai}"
    (tmp_path / "mine.yaml").write_text(MINE.replace("tongue: {accept: changed, image_size: 16}", expert))
    said = snakemake("fetch_all", fails=True)
    assert "datasets.tongue: TonguExpertDatabase.zip cannot be downloaded by a program: get it from https://" in said
    assert "put it at resources/tonguexpert/TonguExpertDatabase.zip" in said


def test_the_real_ct_archive_is_fetched_prepared_and_audited(snakemake, shared, tmp_path):
    """What its publisher's page does not say: most normal test images stand in train."""
    ct = MINE.replace("tongue: {accept: changed, image_size: 16}", "chest_ct: {accept: changed, image_size: 32}")
    (tmp_path / "mine.yaml").write_text(ct.replace("[tongue]", "[chest_ct]"))
    snakemake("results/mine/audit/chest_ct.json", MEDBENCH_MIRROR=str(shared / "data"))
    work = tmp_path / "work"
    card = json.loads((work / "results/mine/datasets/chest_ct.json").read_text())
    normal = CHEST_CT.classes.index("normal")
    assert [card["counts"][name][normal] for name in ("train", "val", "test")] == [33, 6, 27]
    assert card["accepted"] == [
        f"{found} images of {cls} in test, published are {published} (accepted)"
        for cls, found, published in (("adenocarcinoma", 92, 120), ("squamous.cell.carcinoma", 62, 90))
    ]
