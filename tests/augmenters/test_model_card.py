"""The README.md of a trained model, as the Hugging Face hub and a reader see it."""

import os

import numpy as np
import pytest
from huggingface_hub import ModelCard

from medbench.augmenters.image_sections import Copy
from medbench.augmenters.model_card import write_model_card
from medbench.augmenters.stage_sections import TrainStage
from medbench.augmenters.train import Inputs, train
from medbench.run.formats import read_json
from tests.helpers.records import save

TINY = {"layers_per_stage": 1, "steps": 4, "batch_size": 8, "log_every": 2, "probe_images": 8}
FIRST_STAGE = {"kind": "autoencoder", "widths": [8, 16], "discriminator_width": 8, **TINY}
KINDS = {
    "medienet": {"kind": "medienet", "first_stage": "ae", "widths": [16], "heads": 2, "timesteps": 20, **TINY},
    "cddpm": {"kind": "cddpm", "widths": [8, 16], "timesteps": 20, **TINY},
    "copy": {"kind": "copy"},
}


@pytest.fixture
def model(tmp_path, tiny_dataset):
    """A function that trains an augmenter for a moment and returns the model's folder."""

    def make(name, section=None):
        save(tiny_dataset(), tmp_path / "tiny.npz")
        first = make("ae", FIRST_STAGE) if name == "medienet" else None
        stage = TrainStage(name=name, augmenter=section or KINDS[name], seed=0, torch_threads=1)
        train(tmp_path / "tiny.npz", tmp_path / name, stage, 3, tmp_path / "checkpoints", Inputs(first))
        return tmp_path / name

    return make


@pytest.mark.parametrize("name", KINDS)
def test_the_hub_can_read_it_and_a_reader_finds_what_must_be_said(model, name):
    folder = model(name)
    card = ModelCard.load(folder / "README.md")
    assert card.data.license == "other"
    assert card.data.library_name == ("diffusers" if name == "medienet" else "medbench")
    assert {"medical-imaging", KINDS[name]["kind"]} <= set(card.data.tags)
    assert card.data.datasets == ["tiny"]
    assert card.text.strip().startswith(f"# {name} on Tiny")
    assert "**Not a medical device.**" in card.text
    data, choices, metrics = (section_of(card.text, title) for title in ("Data", "Choices", "Metrics"))
    assert "Training images: dark 20, bright 20" in data
    assert "Licence of the images: MIT" in data
    assert "Citation: none" in data
    assert "generator seed 3" in choices
    assert "tables of the run" in metrics


def section_of(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_choices_are_those_of_the_section_and_numbers_those_of_the_log(model):
    folder = model("cddpm")
    card, described = ModelCard.load(folder / "README.md"), read_json(folder / "medbench.json")
    rows = dict(line.strip("| ").split(" | ") for line in card.text.splitlines() if line.startswith("| "))
    assert (rows["widths"], rows["timesteps"], rows["prediction"]) == ("8, 16", "20", "epsilon")
    assert set(rows) - {"setting", "---"} <= set(described["augmenter"])
    assert f"unet {described['parameters']['unet']:,}" in card.text
    assert "32 images seen" in card.text
    with open(folder / "training.csv") as file:
        header, *_, last = file.read().split()
    eps_mse = float(dict(zip(header.split(","), last.split(","), strict=True))["eps_mse"])
    assert f"- mean squared error of the predicted noise: {eps_mse:.4g}" in card.text


def test_the_card_tells_nothing_of_this_machine(model, tmp_path):
    assert str(tmp_path) not in (model("medienet") / "README.md").read_text()


def test_nothing_is_measured_where_nothing_is_learned(model):
    assert "- none: nothing is learned" in (model("copy") / "README.md").read_text()


def test_the_three_lines_of_use_make_images(model):
    folder = model("medienet")
    code = ModelCard.load(folder / "README.md").text.split("```python\n")[1].split("```")[0]
    names = {"folder": folder}
    exec(code, names)
    assert len(code.strip().splitlines()) == 3
    assert np.stack([np.asarray(image) for image in names["images"]]).shape == (4, 12, 12)


@pytest.mark.parametrize(
    ("licence", "title"), [("CC BY 4.0: see https://a.b/c # 'quoted'", 'A "title"'), ("no: yes\nreally", "Ärzte – №1")]
)
def test_any_text_of_a_dataset_leaves_the_header_readable(tmp_path, tiny_dataset, licence, title):
    card = tiny_dataset().card.model_copy(update={"licence": licence, "title": title})
    described = {"name": "mine", "augmenter": {"kind": "copy"}, "parameters": {}, "images_seen": 0, "generator_seed": 0}
    write_model_card(tmp_path / "README.md", Copy(kind="copy"), described, card, [])
    read = ModelCard.load(tmp_path / "README.md")
    assert licence in read.data.license_name
    assert title in read.text
    assert os.listdir(tmp_path) == ["README.md"]
