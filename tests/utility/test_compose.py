"""What a classifier is given to learn from, and the generated images that are refused."""

from pathlib import Path

import numpy as np
import pytest

from medbench.core.arms import Arm
from medbench.core.errors import UserError
from medbench.core.labels import proportional_labels
from medbench.data.dataset import Dataset
from medbench.run.formats import write_npz
from medbench.utility.compose import Generated, read_generated, training_set

RNG_SEED = 0


@pytest.fixture
def dataset(tiny_dataset) -> Dataset:
    """24 dark and 16 bright training images."""
    whole = tiny_dataset(n=48)
    train = whole.splits["train"]
    rows = np.sort(np.concatenate([np.flatnonzero(train.labels == 0), np.flatnonzero(train.labels == 1)[:16]]))
    return Dataset({**whole.splits, "train": train.rows(rows)}, whole.card)


def generated(dataset: Dataset, n: int) -> Generated:
    labels = proportional_labels(np.array([24, 16]), n)
    images = np.arange(n, dtype=np.uint8)[:, None, None].repeat(12, 1).repeat(12, 2)
    return Generated(Path("samples.npz"), images, labels)


def composed(dataset, name, samples=None, **options):
    return training_set(dataset, Arm.parse(name), samples, np.random.RandomState(RNG_SEED), **options)


def test_real_is_the_train_split_as_it_is(dataset):
    np.testing.assert_array_equal(composed(dataset, "real").images, dataset.splits["train"].images)


def test_mixed_adds_the_first_generated_images(dataset):
    whole = composed(dataset, "real+a@0.5", generated(dataset, 50))
    assert len(whole) == 40 + 20
    np.testing.assert_array_equal(whole.images[:40], dataset.splits["train"].images)
    np.testing.assert_array_equal(whole.images[40:, 0, 0], np.arange(20))


def test_only_has_as_many_generated_images_as_there_are_real_ones(dataset):
    whole = composed(dataset, "only-a", generated(dataset, 50))
    np.testing.assert_array_equal(whole.images[:, 0, 0], np.arange(40))


@pytest.mark.parametrize("arm", ["real+mixup@2", "only-mixup"])
def test_an_arm_that_mixes_in_the_loop_learns_from_the_real_images(dataset, arm):
    whole, real = composed(dataset, arm, mixing=True), dataset.splits["train"]
    np.testing.assert_array_equal(whole.images, real.images)
    np.testing.assert_array_equal(whole.labels, real.labels)


@pytest.mark.parametrize("ratio", ["0.5", "1", "2.5"])
def test_oversampling_repeats_real_images_evenly_under_the_labels_that_generated_ones_have(dataset, ratio):
    control = composed(dataset, f"real+oversample@{ratio}")
    mixed = composed(dataset, f"real+a@{ratio}", generated(dataset, 100))
    np.testing.assert_array_equal(control.labels, mixed.labels)
    extra, train = control.rows(np.arange(40, len(control))), dataset.splits["train"]
    uses = [
        np.sum(np.all(extra.images == image, axis=(1, 2)) & (extra.labels == k))
        for image, k in zip(train.images, train.labels, strict=True)
    ]
    assert sum(uses) == len(extra)
    for label in (0, 1):
        of_class = np.array(uses)[train.labels == label]
        assert of_class.max() - of_class.min() <= 1


def test_too_few_generated_images_are_counted(dataset):
    with pytest.raises(UserError, match=r"samples\.npz: holds 30 images, but real\+a@1 needs 40 for the 40 real ones"):
        composed(dataset, "real+a@1", generated(dataset, 30))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (
            np.zeros((40, 9, 12), np.uint8),
            np.zeros(40, int),
            r"images are 9×12 uint8, but those of tiny are 12×12 uint8",
        ),
        (np.zeros((40, 12, 12, 3), np.uint8), np.zeros(40, int), r"images are 12×12×3 uint8, but"),
        (np.zeros((40, 12, 12)), np.zeros(40, int), r"images are 12×12 float64, but"),
        (np.zeros((40, 12, 12), np.uint8), np.full(40, -1), r"holds images without labels; give the augmenter"),
        (np.zeros((40, 12, 12), np.uint8), np.full(40, 2), r"holds labels 2, but tiny has the classes 0 to 1 \(dark"),
        (np.zeros((40, 12, 12), np.uint8), np.zeros((40, 1), int), r"labels are an array of 40×1; expected one label"),
        (np.zeros((40, 12, 12), np.uint8), np.full(40, 0.5), r"holds labels 0\.5, but tiny has the classes 0 to 1"),
    ],
)
def test_generated_images_that_do_not_fit_are_refused(dataset, images, labels, message):
    with pytest.raises(UserError, match=message):
        composed(dataset, "real+a@1", Generated(Path("samples.npz"), images, labels))


def test_a_class_absent_from_train_is_named(dataset):
    train = dataset.splits["train"]
    dark = Dataset({**dataset.splits, "train": train.rows(np.flatnonzero(train.labels == 0))}, dataset.card)
    with pytest.raises(UserError, match=r"datasets\.tiny: arm real: no training image of class bright"):
        composed(dark, "real")
    one_class = Generated(Path("samples.npz"), np.zeros((40, 12, 12), np.uint8), np.zeros(40, int))
    with pytest.raises(UserError, match=r"datasets\.tiny: arm only-a: no training image of class bright"):
        composed(dataset, "only-a", one_class)


def test_an_arm_without_its_images_is_refused(dataset):
    with pytest.raises(UserError, match="give the images of a that the arm only-a needs"):
        composed(dataset, "only-a")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": np.zeros(2)}, "holds pictures; expected the arrays images and labels"),
        ({"images": np.zeros((2, 4, 4)), "labels": np.zeros(3)}, "holds 2 images but 3 labels"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, arrays, message):
    write_npz(tmp_path / "s.npz", arrays)
    with pytest.raises(UserError, match=message):
        read_generated(tmp_path / "s.npz")
