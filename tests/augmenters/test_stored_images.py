import numpy as np
import pytest

from medbench.augmenters.base import ImageSpec
from medbench.augmenters.image_sections import Copy
from medbench.augmenters.stored_images import CopyAugmenter
from tests.helpers.jobs import job_in

LABELS = np.array([0, 1, 1, 0, 1, 0, 1, 1, 1, 0] * 5)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_copy_is_a_training_image_of_its_class_and_none_is_favoured(tmp_path, tiny_dataset, channels):
    dataset = tiny_dataset(channels=channels, n=14)
    train, augmenter = dataset.splits["train"], CopyAugmenter(Copy(kind="copy"), ImageSpec.of_card(dataset.card))
    assert augmenter.fit(train, dataset.splits["val"], job_in(tmp_path)) == []
    samples = augmenter.sample(LABELS, job_in(tmp_path))
    np.testing.assert_array_equal(samples.labels, LABELS)
    row_of = {image.tobytes(): row for row, image in enumerate(train.images)}
    rows = np.array([row_of[image.tobytes()] for image in samples.images])
    np.testing.assert_array_equal(train.labels[rows], LABELS)
    uses = np.bincount(rows, minlength=len(train))
    assert all(np.ptp(uses[train.labels == label]) <= 1 for label in (0, 1))
