"""The report: one file that needs nothing from outside, shows gaps as gaps, and escapes what users write."""

import base64
import html
import io
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from medbench.config import page_sections
from medbench.config.load import parse
from medbench.config.study import Config
from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS, Dataset, Split, class_counts
from medbench.report.page.pictures import strip
from medbench.report.page.write import write_page
from medbench.run.files import write_text
from medbench.run.formats import read_json
from tests.helpers.builders import card_of, score, write_utility
from tests.helpers.parsed_page import Page, text_of
from tests.helpers.records import save, write_sums

CLASSES = ["<b>dark</b>", "bright"]
RAW = {
    "name": "tiny_run",
    "datasets": {"tiny": {"kind": "npz", "path": "tiny.npz", "classes": CLASSES}},
    "augmenters": {"gen": {"kind": "annotated_ddpm", "conditioning": "label"}},
    "fidelity": {"weights": {"path": "w.pth", "sha256": "ab" * 32}, "n_generated": 40, "dimensions": [64]},
    "utility": {"steps": 100, "classifier_seeds": [0, 1]},
    "studies": {
        "arms": {"datasets": ["tiny"], "arms": ["real", "real+oversample@1"]},
        "gen": {
            "datasets": ["tiny"],
            "augmenters": ["gen"],
            "generator_seeds": [0],
            "arms": ["real", "real+oversample@1", "real+gen@1"],
            "paper": "medienet2025",
        },
        "fid": {"datasets": ["tiny"], "augmenters": ["gen"], "generator_seeds": [0], "paper": "cao2025"},
    },
    "run": ["arms"],
}
RUNTIME = {"device": "cpu", "precision": "fp32", "torch_threads": 1, "deterministic": False, "versions": {"torch": "2"}}


@pytest.fixture
def run(tmp_path):
    """A function that makes a run folder with a dataset and the arms of real images, and writes its page."""

    def make(*studies: str, **changed) -> str:
        config = Config.model_validate(RAW | {"run": list(studies)} | changed)
        page = page_sections.page_section(config, config)
        folder = tmp_path / "run"
        if not folder.exists():
            write_dataset(folder, page.studies[0].expected["datasets/tiny.npz"])
        expected = {path: made for study in page.studies for path, made in study.expected.items()}
        for path, made in expected.items():
            if path.startswith("utility/") and "gen" not in path and not (folder / path).exists():
                write_scores(folder / path, made, seed=len(path))
        write_page(folder, page, tmp_path / "report.html")
        return (tmp_path / "report.html").read_text()

    return make


def write_dataset(folder: Path, made_with: str) -> None:
    labels = np.arange(20) % 2
    images = np.random.RandomState(0).randint(0, 256, (20, 12, 12)).astype(np.uint8)
    splits = dict.fromkeys(SPLITS, Split(images, labels, np.arange(20)))
    card = card_of(
        "tiny",
        CLASSES,
        title="Tiny <i>set</i>",
        source="a camera",
        licence="CC0",
        citation="Someone 2020",
        counts=class_counts(splits, 2),
        skipped=["broken.png: not an image"],
        notes=["gray made of colour"],
    )
    save(Dataset(splits, card), folder / "datasets/tiny.npz", made_with)


def write_scores(path: Path, made_with: str, seed: int) -> None:
    positive = np.random.RandomState(seed).rand(2, 20).astype(np.float32)
    scores = np.stack([1 - positive, positive], axis=-1)
    rows = [score(0.5, seed=k) for k in (0, 1)]
    lengths = {"validations": 20, "steps": 100, "real_steps": 100}
    write_utility(path, rows, scores, made_with, {"best_steps": np.array([50, 50])}, **lengths, **RUNTIME)


def png(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(path)


def test_nothing_comes_from_outside_and_the_html_is_sound(run, tmp_path):
    run("arms")
    png(tmp_path / "run/figures/arms/auroc_by_arm.png")
    write_sums(tmp_path / "run/figures/arms")
    page = Page(run("arms"))
    assert [image["src"].split(":")[0] for image in page.all("img")] == ["data"] * len(page.all("img"))
    assert all("src" not in script for script in page.all("script"))
    assert page.all("link") == page.all("iframe") == []
    assert all(image.get("alt") is not None for image in page.all("img"))
    links = [link["href"] for link in page.all("a")]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(link.startswith("https://doi.org/") or link.removeprefix("#") in ids for link in links)
    (policy,) = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert policy.startswith("default-src 'none'; img-src data:;")  # a browser refuses the rest as well


def test_headings_step_down_one_level_at_a_time(run):
    levels = [int(tag[1]) for tag, _ in Page(run("arms", "gen", "fid")).tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_style_and_script_hold_no_address(run):
    page = run("arms")
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert "url(" not in content
        assert "http" not in content
        assert "@import" not in content


def test_what_users_write_is_escaped(run):
    page = run("arms")
    assert "&lt;b&gt;dark&lt;/b&gt;" in page
    assert "Tiny &lt;i&gt;set&lt;/i&gt;" in page
    assert "<b>" not in page
    assert "<i>" not in page


def test_a_whole_run_misses_nothing(run):
    text = text_of(run("arms"))
    assert "Nothing is missing." in text
    assert "Real images alone reach a test AUROC of" in text
    assert "phantoms" not in text
    for shown in ("a camera", "CC0", "Someone 2020", "gray made of colour", "broken.png: not an image", "12×12 pixels"):
        assert shown in text


def test_gaps_are_shown_as_gaps(run, tmp_path):
    write_text(tmp_path / "run/logs/train/tiny-gen-seed0.log", "medbench: no memory left\n")
    (tmp_path / "run/datasets").mkdir(parents=True)
    config = Config.model_validate(RAW | {"run": ["gen"]})
    page = page_sections.page_section(config, config)
    write_dataset(tmp_path / "run", page.studies[0].expected["datasets/tiny.npz"])
    text = text_of(run("gen"))
    assert "Nothing is missing." not in text
    assert "Missing: model of tiny, gen, seed0, and what follows from it" in text
    assert "logs/train/tiny-gen-seed0.log : medbench: no memory left" in text
    assert "real + gen ×1 missing Not there: no classifier of this arm finished." in text
    assert "No figures: none of this kind is in the run folder." in text


def test_an_empty_run_folder_still_gives_a_page(tmp_path):
    config = Config.model_validate(RAW | {"run": ["gen", "fid"]})
    page = page_sections.page_section(config, config)
    (tmp_path / "run").mkdir()
    write_page(tmp_path / "run", page, tmp_path / "report.html")
    text = text_of((tmp_path / "report.html").read_text())
    assert "Missing: its card is not in the run folder, or was made with another config." in text
    assert "Missing: dataset tiny" in text
    assert "the run folder holds no logs" in text


def test_no_verdict_without_arms(run):
    text = text_of(run("fid"))
    assert "No verdict: no study of this run trains a classifier." in text
    assert "AUROC" not in text


def test_phantoms_say_nothing_about_patients(run):
    phantom = {"tiny": {"kind": "phantom", "subject": "ct"}}
    config = Config.model_validate(RAW | {"datasets": phantom, "run": ["arms"]})
    assert "say nothing about patients" in text_of(run("arms", datasets=config.datasets))


def test_the_page_holds_its_config(run):
    page = run("arms")
    (block,) = re.findall(r'<pre class="long">(.*?)</pre>', page, re.DOTALL)
    again = parse(Config, yaml.safe_load(html.unescape(block)), "page")
    assert page_sections.report_section(again, "arms") == page_sections.report_section(
        Config.model_validate(RAW), "arms"
    )
    assert set(again.studies) == {"arms"}  # what nothing reaches is left out
    assert "snakemake --cores 2 --configfile tiny_run.yaml" in page


def test_files_to_have_and_hashes_are_listed(run, tmp_path):
    text = text_of(run("fid"))
    assert "dataset tiny: tiny.npz" in text
    assert "Inception weights: w.pth" in text
    assert "ab" * 32 in text
    assert read_json(tmp_path / "run/datasets/tiny.json")["npz_sha256"] in text


def test_the_same_run_gives_the_same_bytes(run):
    assert run("arms") == run("arms")


def test_results_of_another_config_are_refused(run, tmp_path):
    run("arms")
    with pytest.raises(UserError, match="was made with another config: utility"):
        run("arms", utility=RAW["utility"] | {"steps": 200})


@pytest.mark.parametrize("shape", [(3, 28, 28), (3, 28, 28, 3), (3, 200, 200), (3, 30, 20, 3)])
def test_examples_are_enlarged_by_whole_pixels_or_made_smaller(shape):
    images = np.random.RandomState(0).randint(0, 255, shape).astype(np.uint8)
    shown = strip(images)
    side, gap = shown.shape[0], 4
    width = (shown.shape[1] - 2 * gap) // 3
    assert max(side, width) <= 112
    assert np.all(shown[:, width : width + gap] == 255)
    if shape[1] < 112:
        times = side // shape[1]
        np.testing.assert_array_equal(shown[::times, :width:times], images[0])


def test_an_svg_is_preferred_and_pictures_are_whole(run, tmp_path):
    run("arms")
    figures = tmp_path / "run/figures/arms"
    png(figures / "auroc_by_arm.png")
    png(figures / "confusion_tiny.png")
    write_text(figures / "auroc_by_arm.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>")
    write_sums(figures)
    figures_shown = [image for image in Page(run("arms")).all("img") if "AUROC by arm" in image["alt"]]
    assert [image["src"].split(";")[0] for image in figures_shown] == ["data:image/svg+xml"]
    (matrix,) = [image for image in Page(run("arms")).all("img") if "Confusion matrices, tiny" in image["alt"]]
    content = base64.b64decode(matrix["src"].split(",")[1])
    assert Image.open(io.BytesIO(content)).size == (2, 2)
