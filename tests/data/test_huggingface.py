"""Datasets as `datasets` keeps them; nothing here reaches for the hub."""

import numpy as np
import pytest
from PIL import Image

from medbench.config import inputs
from medbench.config.load import load, parse
from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS
from medbench.data.prepare import prepare
from medbench.data.sections import HuggingFaceDataset
from medbench.run.files import sha256_of
from tests.helpers.configs import changed
from tests.helpers.own_images import from_folder, two_classes

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDBENCH_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def section(path, **settings) -> HuggingFaceDataset:
    raw = {"kind": "huggingface", "path": str(path), "image_size": 8, **settings}
    return parse(HuggingFaceDataset, raw, "datasets.mine")


def rows(first: int, n: int = 12) -> dict[str, list]:
    """Bright and dark images by turns, two of one patient after each other."""
    images = [Image.new("L", (10, 8), first + number + 100 * (number % 2)) for number in range(n)]
    return {
        "scan": images,
        "label": [number % 2 for number in range(n)],
        "patient_id": [first + i // 2 for i in range(n)],
    }


@pytest.fixture
def saved(tmp_path):
    """What save_to_disk leaves, of train, validation and test."""
    kinds = {
        "scan": datasets.Image(),
        "label": datasets.ClassLabel(names=["normal", "ill"]),
        "patient_id": datasets.Value("int64"),
    }
    features = datasets.Features(kinds)
    parts = {
        name: datasets.Dataset.from_dict(rows(first), features=features)
        for name, first in (("train", 0), ("validation", 30), ("test", 60))
    }
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    return tmp_path / "saved"


def test_splits_labels_and_patients_are_those_of_the_dataset(saved):
    dataset = prepare(section(saved), "mine", seed=0)
    card = dataset.card
    assert card.counts == {"train": [6, 6], "val": [6, 6], "test": [6, 6]}
    assert (card.classes, card.patients, card.channels) == (["ill", "normal"], "known", 1)
    assert card.source == "Hugging Face dataset saved"
    assert len(np.unique(np.concatenate([dataset.splits[name].groups for name in SPLITS]))) == 18
    train = dataset.splits["train"]
    assert (train.images[:, 4, 4] >= 100).tolist() == (train.labels == 0).tolist()
    assert prepare(section(saved), "mine", seed=1).card.source_sha256 == card.source_sha256


def test_columns_of_the_config_count_and_a_missing_one_is_named(saved):
    assert prepare(section(saved, columns={"group": None}), "mine", seed=0).card.patients == "unknown"
    by_patient = {"label": "patient_id", "group": None}
    with pytest.raises(UserError, match=r"class '30' has no training image"):
        prepare(section(saved, columns=by_patient, image_size=8), "mine", seed=0)
    with pytest.raises(UserError, match=r"no images in label \(found scan, label, patient_id\)"):
        prepare(section(saved, columns={"image": "label"}), "mine", seed=0)


def test_a_folder_of_images_is_read_as_by_kind_folder(tmp_path):
    two_classes(tmp_path / "mine")
    same = from_folder(tmp_path / "mine").card
    card = prepare(section(tmp_path / "mine"), "mine", seed=0).card
    assert (card.classes, card.counts) == (same.classes, same.counts)


def test_parquet_with_strings_as_labels(tmp_path):
    rows_of_strings = datasets.Dataset.from_dict(
        {**rows(0, 40), "label": ["ill" if i % 2 else "Well" for i in range(40)]},
        features=datasets.Features(
            {"scan": datasets.Image(), "label": datasets.Value("string"), "patient_id": datasets.Value("int64")}
        ),
    )
    (tmp_path / "mine").mkdir()
    rows_of_strings.to_parquet(tmp_path / "mine" / "train.parquet")
    card = prepare(section(tmp_path / "mine"), "mine", seed=0).card
    assert card.classes == ["Well", "ill"] and card.counts["train"] == [14, 14]


def test_what_cannot_be_loaded_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"^datasets\.mine: .*empty: cannot be loaded: ") as error:
        prepare(section(tmp_path / "empty"), "mine", seed=0)
    assert "\n" not in str(error.value)
    hub = {"kind": "huggingface", "name": "nobody/nothing", "image_size": 8, "revision": "0" * 40}
    with pytest.raises(UserError, match=r"nobody/nothing@000000000000: cannot be loaded: "):
        prepare(parse(HuggingFaceDataset, hub, "d"), "mine", seed=0)


def test_a_hub_name_is_pinned(tmp_path):
    hub = {"kind": "huggingface", "name": "nobody/nothing", "image_size": 8}
    for wrong in (
        hub,
        hub | {"revision": "main"},
        hub | {"path": "x", "revision": "0" * 40},
        {"kind": "huggingface", "image_size": 8},
    ):
        with pytest.raises(UserError, match="revision"):
            parse(HuggingFaceDataset, wrong, "datasets.mine")


def test_its_content_decides_what_is_made_again(saved):
    config = load(changed("datasets.ct", {"kind": "huggingface", "path": str(saved), "image_size": 8}))
    before = inputs.dataset_state(config, "ct", sha256_of)
    assert inputs.dataset_files(config, "ct") == [] and len(before) == 64
    next(saved.rglob("*.arrow")).write_bytes(b"other")
    assert inputs.dataset_state(config, "ct", sha256_of) != before
