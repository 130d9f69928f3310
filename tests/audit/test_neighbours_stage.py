"""From feature files to what they say of test images near to training images."""

import json

import numpy as np
import pytest

from medbench.audit.neighbours import audit_neighbours
from medbench.audit.sections import NeighboursStage
from medbench.core.errors import UserError
from medbench.data.dataset import Dataset
from medbench.data.feature_vectors import write_features

STAGE = NeighboursStage(dataset="tiny", dimension=768, torch_threads=1)


@pytest.fixture
def files(tiny_dataset, tmp_path):
    """A dataset on disk, and a function that writes features of one of its splits."""
    tiny_dataset().save(tmp_path / "d.npz")
    images = Dataset.load(tmp_path / "d.npz").card.npz_sha256

    def write(name: str, seed: int, key: str = "768", extractor: str = "Inception", of: str | None = images):
        rows = np.random.RandomState(seed).standard_normal((40, int(key))).astype(np.float32)
        made_by = {"extractor": extractor, "images_sha256": of}
        write_features(tmp_path / f"{name}.safetensors", {key: rows}, made_by)
        return tmp_path / f"{name}.safetensors"

    return tmp_path, write


def run(folder, train, test):
    audit_neighbours(folder / "d.npz", {"train": train, "test": test}, STAGE, folder / "n.json")
    return json.loads((folder / "n.json").read_text())


def test_the_same_features_are_all_suspicious_and_others_none(files):
    folder, write = files
    found = run(folder, write("train", 0), write("test", 1))
    assert (found["suspicious"], found["test"]["images"], found["made_with"]) == (0, 40, STAGE.made_with())
    assert run(folder, write("train", 0), write("test", 0))["suspicious"] == 40


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"key": "64"}, r"test\.safetensors: holds no features of 768 dimensions; extract them again"),
        ({"extractor": "another"}, r"test\.safetensors: made by another, but .*train\.safetensors by Inception"),
        ({"of": "0"}, r"test\.safetensors: holds features of other images than tiny; extract them again"),
    ],
)
def test_features_that_do_not_belong_to_it_are_refused(files, wrong, message):
    folder, write = files
    with pytest.raises(UserError, match=message):
        run(folder, write("train", 0), write("test", 1, **wrong))
    assert not (folder / "n.json").exists()
