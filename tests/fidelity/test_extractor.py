"""The Inception extractor and its weights: the same numbers as torch-fidelity's, and nothing believed unchecked."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from medbench.core.errors import UserError
from medbench.data.phantoms import render_split
from medbench.data.weights import load_state
from medbench.fidelity.extractor import DIMENSIONS, InceptionExtractor
from medbench.fidelity.metrics.frechet import frechet_distance

TRUNK = Path(__file__).parents[2].parent / "shared" / "weights" / "inception-v3-compat.trunk768.pth"
TRUNK_SHA256 = "d9081693767267d56c0fc366b90d8c35d5c8a36081a63b524547b14ad59d51d8"
needs_trunk = pytest.mark.skipif(not TRUNK.is_file(), reason="the test weights are not beside this checkout")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return render_split("xray", "train", [5, 5], size=28, seed=0)[0]


@pytest.fixture(scope="module")
def extractor() -> InceptionExtractor:
    return InceptionExtractor(DIMENSIONS, None, seed=0)


@pytest.fixture(scope="module")
def features(extractor, images) -> dict[str, np.ndarray]:
    return extractor.features(images, batch_size=5)


def test_every_dimension_from_one_pass(features, images):
    assert {key: array.shape for key, array in features.items()} == {str(d): (len(images), d) for d in DIMENSIONS}
    assert all(array.dtype == np.float32 for array in features.values())


def test_batch_size_does_not_change_features(extractor, features, images):
    one_by_one = extractor.features(images[:3], batch_size=1)
    for key, array in one_by_one.items():
        # Equal to the last bit on one thread here; other backends sum float32 in another order for another batch.
        np.testing.assert_allclose(array, features[key][:3], rtol=1e-4, atol=1e-5)


def torch_fidelity_features(extractor: InceptionExtractor, images: np.ndarray) -> list[np.ndarray]:
    """What torch-fidelity's own network makes of gray images with the same state dict."""
    file = io.BytesIO()
    torch.save(extractor.network.state_dict(), file)
    file.seek(0)
    peer = FeatureExtractorInceptionV3("inception-v3-compat", [str(d) for d in extractor.dimensions], file)
    return [output.numpy() for output in peer(torch.from_numpy(images)[:, None].repeat(1, 3, 1, 1))]


def test_equals_torch_fidelity_on_the_same_weights(extractor, features, images):
    for array, expected in zip(features.values(), torch_fidelity_features(extractor, images[:3]), strict=True):
        # Another memory layout sums float32 in another order, and random layers amplify it: 7e-5 was seen at 2048.
        np.testing.assert_allclose(array[:3], expected, rtol=1e-3, atol=1e-4)


def test_gray_images_are_repeated_to_three_channels(extractor, features, images):
    rgb = np.repeat(images[:2, :, :, None], 3, axis=3)
    np.testing.assert_allclose(extractor.features(rgb)["2048"], features["2048"][:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("subject", ["ct", "xray", "tongue"])
def test_random_weights_keep_the_signal_alive(extractor, subject):
    """Standard deviation over images, averaged over a dimension's features: 0.03 to 0.17 was seen at 28 pixels.

    The genuine weights have 0.01 to 0.09 on such images; torch's default initialisation has 1e-8 at 768.
    """
    counts = {"ct": [1] * 4, "xray": [2] * 2, "tongue": [2, 1, 1]}[subject]
    for key, array in extractor.features(render_split(subject, "train", counts, size=28, seed=0)[0]).items():
        assert 0.01 < array.std(axis=0).mean() < 1, key


def test_random_weights_follow_their_seed_and_leave_the_global_generator_alone(extractor, features, images):
    before = torch.get_rng_state()
    again, other = (InceptionExtractor([64], None, seed=seed) for seed in (0, 1))
    assert torch.equal(before, torch.get_rng_state())
    # To the last bit, though fewer dimensions were asked for: the early layers do not know of the later.
    np.testing.assert_array_equal(again.features(images, batch_size=5)["64"], features["64"])
    assert not np.allclose(other.features(images[:2])["64"], features["64"][:2], rtol=0.01)
    assert again.description == "inception-v3-compat, RANDOM weights (seed 0)"


def test_progress_counts_images(images):
    seen = []
    extractor = InceptionExtractor([64], None)
    extractor.features(images, batch_size=4, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 10), (8, 10), (10, 10)]


def test_nan_weights_are_refused_where_they_are_asked_for(extractor, images):
    state = {name: tensor.clone() for name, tensor in extractor.network.state_dict().items()}
    state["Mixed_7c.branch1x1.conv.weight"][0] = float("nan")
    assert list(InceptionExtractor([64, 768], state).features(images[:2])) == ["64", "768"]
    with pytest.raises(UserError, match=r"dimension 2048 are NaN or infinite"):
        InceptionExtractor(DIMENSIONS, state).features(images[:2])


def test_fid_from_images_on_equals_torch_fidelitys(extractor, features, images):
    """Ours against its own network, statistics and solver, on the same images and weights."""
    theirs = torch_fidelity_features(extractor, images)
    for array, expected in zip(features.values(), theirs, strict=True):
        statistics = [fid_features_to_statistics(torch.from_numpy(part)) for part in (expected[:5], expected[5:])]
        fid = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
        assert frechet_distance(array[:5], array[5:]) == pytest.approx(fid, rel=1e-4)  # the stated agreement


@needs_trunk
def test_a_dimension_whose_weights_are_missing_is_refused_by_name(images):
    state = load_state(TRUNK, TRUNK_SHA256, "weights")
    shallow = InceptionExtractor([64, 192, 768], state, TRUNK_SHA256)
    assert TRUNK_SHA256 in shallow.description
    features = shallow.features(images[:3])
    assert list(features) == ["64", "192", "768"]
    for array, expected in zip(features.values(), torch_fidelity_features(shallow, images[:3]), strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-4, atol=1e-5)  # 7e-7 was seen
    with pytest.raises(UserError, match=r"dimension 2048 are NaN or infinite.*truncated"):
        InceptionExtractor(DIMENSIONS, state).features(images[:1])


def test_refuses_what_it_cannot_measure(extractor):
    with pytest.raises(UserError, match=r"dimensions: \[64, 100\]"):
        InceptionExtractor([64, 100], None)
    with pytest.raises(UserError, match="give uint8"):
        extractor.features(np.zeros((2, 8, 8), np.float32))
    with pytest.raises(UserError, match="give uint8"):
        extractor.features(np.zeros((2, 8, 8, 4), np.uint8))
    with pytest.raises(UserError, match="do not fit inception-v3-compat"):
        InceptionExtractor([64], {"layer.weight": torch.zeros(1)})
