"""From a raw dataset to the one that all later stages read."""

import numpy as np
import pytest

from medbench.audit.audit import audit
from medbench.audit.sections import AuditStage
from medbench.config.load import load
from medbench.config.plan import audit_section, prepare_section
from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS, Dataset
from medbench.data.prepare import prepare
from medbench.run.files import sha256_of
from medbench.run.formats import read_json
from tests.helpers.configs import changed


@pytest.fixture
def audited(tmp_path):
    """A function: arrays in MedMNIST's layout -> the audited dataset and its files."""

    def make(arrays, name="d", seed=0, **settings):
        folder = tmp_path / name
        folder.mkdir()
        np.savez(folder / "whole.npz", **arrays)
        dataset = {"kind": "npz", "path": str(folder / "whole.npz"), **settings}
        stage = AuditStage.model_validate({"name": "d", "dataset": dataset, "seed": seed})
        prepare(stage.dataset, "d", seed).save(folder / "d.raw.npz")
        audit(folder / "d.raw.npz", folder / "d.npz", stage, folder / "found.json")
        return Dataset.load(folder / "d.npz"), folder

    return make


@pytest.fixture
def arrays(tiny_dataset):
    splits = tiny_dataset(n=60).splits
    rng = np.random.RandomState(1)
    arrays = {f"{name}_{key}": getattr(splits[name], key) for name in SPLITS for key in ("images", "labels")}
    for name in SPLITS:  # no image twice
        arrays[f"{name}_images"] = rng.randint(0, 255, arrays[f"{name}_images"].shape, dtype=np.uint8)
    return arrays


def test_the_later_stages_get_the_protocols_images_without_origins(audited, arrays):
    arrays["test_images"][:3] = arrays["train_images"][:3]
    published, _ = audited(arrays, "published")
    clean, folder = audited(arrays, "clean", protocol="clean")
    assert [sum(map(len, dataset.splits.values())) for dataset in (published, clean)] == [180, 177]
    assert (clean.card.protocol, published.card.protocol) == ("clean", "as_published")
    assert all(split.origins is None for split in clean.splits.values())
    assert len(read_json(folder / "found.json")["removals"]) == 3


def test_a_training_fraction_leaves_val_and_test_alone(audited, arrays):
    whole, _ = audited(arrays, "whole")
    half, _ = audited(arrays, "half", train_fraction=0.5)
    for name in ("val", "test"):
        np.testing.assert_array_equal(half.splits[name].images, whole.splits[name].images)
    assert half.card.counts["train"] == [15, 15] and half.card.train_fraction == 0.5
    kept = {image.tobytes() for image in half.splits["train"].images}
    assert kept < {image.tobytes() for image in whole.splits["train"].images}
    assert "train_fraction 0.5: 30 of 60 training images kept, stratified by class, whole groups" in half.card.notes


def test_rows_outside_a_train_fraction_leave_no_trace(audited, arrays):
    """Whatever stands in them, the file is the same, and it is all that later stages read."""
    whole = arrays["train_images"]
    part, folder = audited(arrays, "part", train_fraction=0.25)
    kept = np.array([(part.splits["train"].images == image).all((1, 2)).any() for image in whole])
    assert kept.sum() == len(part.splits["train"]) == 16
    arrays["train_images"] = np.where(kept[:, None, None], whole, 255)
    _, poisoned = audited(arrays, "poisoned", train_fraction=0.25)
    assert sha256_of(folder / "d.npz") == sha256_of(poisoned / "d.npz")


def test_a_class_absent_from_test_is_only_noted(audited, arrays):
    arrays["test_labels"] = np.zeros(60, np.int64)
    dataset, _ = audited(arrays, classes=["well", "ill"])
    assert dataset.card.notes == ["class 'ill' has no image in test"]


def test_a_dataset_without_origins_cannot_be_audited(audited, arrays, tiny_dataset, tmp_path):
    tiny_dataset().save(tmp_path / "x.npz")
    stage = AuditStage.model_validate({"name": "x", "dataset": {"kind": "phantom", "subject": "ct"}, "seed": 0})
    with pytest.raises(UserError, match=r"x\.npz: is no raw dataset, as `prepare` writes it$"):
        audit(tmp_path / "x.npz", tmp_path / "y.npz", stage, tmp_path / "f.json")


def test_entries_that_differ_in_the_protocol_alone_are_prepared_from_one_section():
    ct = {"kind": "phantom", "subject": "ct"}
    configs = [load(changed("datasets.ct", ct | extra)) for extra in ({}, {"protocol": "clean", "train_fraction": 0.5})]
    first, second = (prepare_section(config, "ct").canonical() for config in configs)
    assert first == second
    assert audit_section(configs[0], "ct").canonical() != audit_section(configs[1], "ct").canonical()
