import io

import numpy as np
import pytest
from PIL import Image

from medbench.audit.near import SIDE, correlations, details


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return correlations(details(np.stack([a, b])), np.array([0]), np.array([1]))[0]


def saved_as_jpeg(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "jpeg", quality=75)
    return np.asarray(Image.open(file))


def test_the_same_picture_correlates_whatever_its_brightness(picture):
    image = picture(0)
    assert correlation(image, image) == pytest.approx(1, abs=2e-3)  # float16
    assert correlation(image, (image * 0.6 + 40).astype(np.uint8)) > 0.99
    assert correlation(image, saved_as_jpeg(image)) > 0.98


def test_a_line_across_it_changes_little(picture):
    image = picture(0)
    drawn = image.copy()
    drawn[3, 20:28] = 255
    assert 0.9 < correlation(image, drawn) < 0.999


def test_other_details_on_the_same_coarse_shape_do_not_correlate(picture):
    disc = np.hypot(*np.mgrid[-16:16, -16:16]) < 12
    a, b = (np.where(disc, 120 + picture(seed) // 4, 0).astype(np.uint8) for seed in (1, 2))
    inside = disc & np.roll(disc, 3, 0) & np.roll(disc, -3, 0) & np.roll(disc, 3, 1) & np.roll(disc, -3, 1)
    plain = np.corrcoef(a.ravel(), b.ravel())[0, 1]
    assert plain > 0.9
    assert correlation(np.where(inside, a, 150), np.where(inside, b, 150)) < 0.5


def test_large_and_colour_images_become_small_and_gray(picture):
    gray = np.stack([picture(seed).repeat(3, 0).repeat(3, 1) for seed in range(4)])
    assert details(gray).shape == (4, SIDE * SIDE)
    np.testing.assert_array_equal(details(np.stack([gray] * 3, axis=3)), details(gray))
    np.testing.assert_array_equal(details(gray), details(gray[:, ::3, ::3]))


def test_a_side_that_is_small_stays():
    images = np.random.RandomState(0).randint(0, 256, (2, 20, 50)).astype(np.uint8)
    assert details(images).shape == (2, 20 * SIDE)


def test_a_flat_image_correlates_with_nothing(picture):
    assert correlation(np.full((SIDE, SIDE), 9, np.uint8), picture(0)) == 0


def test_pairs_are_taken_in_blocks(picture, monkeypatch):
    monkeypatch.setattr("medbench.audit.near.PAIRS_AT_ONCE", 3)
    rows = details(np.stack([picture(seed) for seed in range(5)]))
    first, second = np.triu_indices(5, 0)
    expected = rows.astype(float) @ rows.astype(float).T
    np.testing.assert_allclose(correlations(rows, first, second), expected[first, second], atol=1e-5)
