import numpy as np
import pytest

from medbench.augmenters.base import ImageSpec
from medbench.augmenters.image_sections import Copy
from medbench.augmenters.stored_images import CopyAugmenter
from tests.helpers.jobs import job_in

LABELS = np.array([0, 1, 1, 0, 1, 0, 1, 1, 1, 0] * 5)


@pytest.fixture(params=[1, 3])
def fitted(request, tmp_path, tiny_dataset):
    dataset = tiny_dataset(channels=request.param, n=14)
    augmenter = CopyAugmenter(Copy(kind="copy"), ImageSpec.of_card(dataset.card))
    assert augmenter.fit(dataset.splits["train"], dataset.splits["val"], job_in(tmp_path)) == []
    return augmenter, dataset.splits["train"]


def test_every_image_is_a_training_image_of_its_class_and_none_is_favoured(tmp_path, fitted):
    augmenter, train = fitted
    samples = augmenter.sample(LABELS, job_in(tmp_path))
    np.testing.assert_array_equal(samples.labels, LABELS)
    of = {image.tobytes(): row for row, image in enumerate(train.images)}
    rows = np.array([of[image.tobytes()] for image in samples.images])
    np.testing.assert_array_equal(train.labels[rows], LABELS)
    uses = np.bincount(rows, minlength=len(train))
    for label in (0, 1):
        assert np.ptp(uses[train.labels == label]) <= 1


def test_fewer_images_are_the_first_ones_and_another_seed_takes_another_order(tmp_path, fitted):
    augmenter, _ = fitted
    many, few = (augmenter.sample(LABELS[:n], job_in(tmp_path)).images for n in (50, 6))
    np.testing.assert_array_equal(many[:6], few)
    assert not np.array_equal(many, augmenter.sample(LABELS, job_in(tmp_path, seed=2)).images)
