import numpy as np
import pytest

from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS, Dataset


def test_saved_and_loaded_is_the_same(tmp_path, tiny_dataset):
    dataset = tiny_dataset(channels=3)
    dataset.save(tmp_path / "tiny.npz")
    loaded = Dataset.load(tmp_path / "tiny.npz")
    for name in SPLITS:
        for field in ("images", "labels", "groups"):
            np.testing.assert_array_equal(getattr(loaded.splits[name], field), getattr(dataset.splits[name], field))
    arrays = np.load(tmp_path / "tiny.npz")
    assert (arrays["train_images"].dtype, arrays["train_labels"].shape) == (np.uint8, (40, 1))  # as MedMNIST's are
    assert loaded.card.model_dump(exclude={"npz_sha256"}) == dataset.card.model_dump(exclude={"npz_sha256"})


def test_an_npz_without_a_card_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", train_images=np.zeros(1))
    with pytest.raises(UserError, match=r"x\.json: cannot be read"):
        Dataset.load(tmp_path / "x.npz")
