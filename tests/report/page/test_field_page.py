"""The page of a run with every kind of study: its parts, gaps in them, and figures as wide as they were drawn."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from medbench.config import page_sections
from medbench.config.study import Config
from medbench.report.page.pictures import study_pictures
from medbench.report.page.write import write_page
from medbench.run.files import write_text
from medbench.run.logs import Usage
from tests.helpers.records import write_sums

RAW = {
    "name": "field",
    "datasets": {"tiny": {"kind": "npz", "path": "tiny.npz"}},
    "augmenters": {
        "ae": {"kind": "autoencoder"},
        "med": {"kind": "medienet", "first_stage": "ae"},
        "no_rope": {"kind": "medienet", "first_stage": "ae", "rope": False},
        "med_g1": {"kind": "medienet", "model": "med", "guidance_scale": 1},
        "copy": {"kind": "copy"},
        "mixup": {"kind": "mixup"},
    },
    "fidelity": {"weights": {"path": "w.pth", "sha256": "ab" * 32}, "n_generated": 40, "dimensions": [64]},
    "studies": {
        "field": {"augmenters": ["med", "copy", "mixup"], "arms": ["real", "real+med@1", "real+mixup@1"]},
        "parts": {"augmenters": ["med", "no_rope"], "ablation": "med"},
        "ways": {"augmenters": ["med", "med_g1"], "sampling": "med"},
    },
    "run": ["field", "parts", "ways"],
}


def page(folder: Path) -> str:
    raw = RAW | {
        "studies": {
            name: {"datasets": ["tiny"], "generator_seeds": [0], **study} for name, study in RAW["studies"].items()
        }
    }
    config = Config.model_validate(raw)
    write_page(folder, page_sections.page_section(config, config), folder.parent / "report.html")
    return (folder.parent / "report.html").read_text()


def test_each_study_has_the_parts_that_it_asks_for(tmp_path):
    html = page(tmp_path / "run")
    blocks = re.findall(r'<div class="block" id="([\w-]+)">\n<h3>(.*?)</h3>', html)
    common = [("augmenters", "Augmenters: what they are"), ("fid", "Fidelity: FID")]
    last = [("samples", "Samples")]
    wanted = {
        "field": [*common, ("utility", "Utility: classifiers"), *last],
        "parts": [*common, ("ablation", "Ablation: med"), *last],
        "ways": [*common, ("sampling", "Sampling: med"), *last],
    }
    assert blocks == [(f"{study}-{key}", title) for study, parts in wanted.items() for key, title in parts]
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
    assert "1 dataset, 3 augmenters, 1 first stage, 1 generator seed, 3 arms" in text
    assert "MedIENet: Yuan et al. 2025" in text
    assert "What FID cannot tell" not in text  # nothing was measured
    assert not re.search(r"\bnan\b", text)


def test_time_of_each_augmenter_is_found_with_its_first_stage(tmp_path):
    for name, seconds in (("ae", 60.0), ("med", 90.0)):
        usage = Usage(seconds, 500, cpu_seconds=seconds + 15)
        write_text(tmp_path / f"run/logs/train/tiny-{name}-seed0.log", usage.line() + "\n")
    html = page(tmp_path / "run")
    provenance = html[html.index('id="provenance"') :]
    tables = re.findall(r"<h4>(Training and sampling of each augmenter.*?)</h4>", provenance)
    assert tables == [f"Training and sampling of each augmenter, study {name}" for name in RAW["studies"]]
    row = re.search(r'<th scope="row">med \(L2\)</th>(.*?)</tr>', provenance, re.DOTALL)[1]
    assert re.findall(r">([^<>\n]+)</td>", row)[:4] == ["1 min 30 s", "1 min 0 s", "2 min 30 s", "3 min 0 s"]


def test_figures_as_wide_as_a_page_stay_so(tmp_path):
    figures = tmp_path / "run/figures/field"
    figures.mkdir(parents=True)
    for name, width in (("fid_by_augmenter", 504), ("training_curves", 244.8)):
        write_text(figures / f"{name}.svg", f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}pt"/>')
    for name, width in (("samples_tiny", 1400), ("denoising_tiny", 680)):
        Image.fromarray(np.zeros((2, width), np.uint8)).save(figures / f"{name}.png", dpi=(200, 200))
    write_sums(figures)
    found = study_pictures(figures)
    assert [picture.wide for group in ("fidelity", "samples") for picture in found[group]] == [True, False, True, False]
    assert page(tmp_path / "run").count('<figure class="wide-figure">') == 2


def test_every_figure_that_is_written_has_its_place_on_the_page(tmp_path):
    names = ("fid_by_augmenter", "training_curves", "fidelity_by_step", "ablation", "sampling", "samples_x")
    names += ("denoising_x", "auroc_by_arm", "auroc_by_ratio", "roc_x", "confusion_x", "leakage")
    for name in names:
        write_text(tmp_path / f"{name}.svg", "<svg/>")
    found = study_pictures(tmp_path)
    assert sum(map(len, found.values())) == len(names)
    assert [picture.title for picture in found["sampling"]] == ["Guidance and steps"]
