"""What holds of all U-Nets: any size, conditions that matter, images of a batch apart, saved as they are."""

import pytest
import torch
from diffusers.models.attention_processor import Attention

from medbench.augmenters.annotated import AnnotatedUNet
from medbench.augmenters.cddpm import PixelUNet
from medbench.augmenters.latent_diffusion import LatentUNet
from medbench.augmenters.medienet import MedIENetUNet

LATENT = {"heads": 2, "tokens_per_class": 3, "context_dim": 8}
NETWORKS = {
    "annotated": (AnnotatedUNet, {"width": 8, "multipliers": (1, 2)}),
    "pixel": (PixelUNet, {"widths": (8, 16), "layers_per_stage": 1, "attention_stages": 1, "dropout": 0.0}),
    "latent": (LatentUNet, {"widths": (8, 16), "layers_per_stage": 1, "dropout": 0.0, **LATENT}),
    "medienet": (MedIENetUNet, {"widths": (8, 16), "layers_per_stage": 1, "dropout": 0.0, **LATENT}),
}
GUIDED = pytest.mark.parametrize("name", ["pixel", "latent", "medienet"])  # with a null class, and told of augmentation
TIMES, LABELS = torch.tensor([0, 999]), torch.tensor([0, 1])


@pytest.fixture
def make(awake):
    """A function that makes a network in evaluation mode, in which every branch shows."""

    def build(name, channels=1, **settings):
        torch.manual_seed(0)
        network, defaults = NETWORKS[name]
        return awake(network(channels, **{"n_classes": 2, **defaults, **settings}))

    return build


def images(n=2, channels=1, size=(8, 8)) -> torch.Tensor:
    return torch.randn(n, channels, *size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "settings", "channels", "size"),
    [
        *((name, {}, 1, (8, 8)) for name in NETWORKS),
        *((name, {"widths": (8, 8, 16)}, 4, (12, 4)) for name in ("pixel", "latent", "medienet")),
        *((name, {"widths": (8,), "layers_per_stage": 2}, 3, (5, 7)) for name in ("pixel", "latent", "medienet")),
        *(("annotated", {"multipliers": (1, 2, 4)}, channels, (17, 23)) for channels in (1, 3)),
        ("annotated", {"multipliers": (1, 2, 4)}, 3, (30, 30)),
    ],
)
def test_what_comes_back_is_like_what_went_in(make, name, settings, channels, size):
    predicted = make(name, channels, **settings)(images(2, channels, size), TIMES, LABELS)
    assert predicted.shape == (2, channels, *size)
    assert predicted.std() > 1e-3


@pytest.mark.parametrize("name", NETWORKS)
def test_images_of_a_batch_do_not_see_each_other(make, name):
    network, x = make(name), images()
    alone, together = network(x[1:], TIMES[1:], LABELS[1:]), network(x, TIMES, LABELS)[1:]
    # Another batch size sums in another order: ten times what was seen for outputs of size 2, 8e-7 and 4e-6.
    torch.testing.assert_close(together, alone, atol=4e-5 if name == "medienet" else 1e-5, rtol=0)


@GUIDED
def test_time_class_null_class_and_augmentation_all_matter(make, name):
    network, x = make(name), images(1).expand(2, -1, -1, -1)
    same = torch.zeros(2, dtype=torch.int64)

    def differs(times=same, labels=same, augment=None):
        first, second = network(x, times, labels, augment)
        return not torch.allclose(first, second, atol=1e-4)

    assert not differs()
    assert differs(times=TIMES)
    assert differs(labels=LABELS)
    assert differs(labels=torch.tensor([0, network.null_class]))
    for place in range(3):
        assert differs(augment=torch.eye(3)[[place, place]] * torch.tensor([[1.0], [0.0]]))
        assert differs(augment=torch.eye(3)[[place, place]] * torch.tensor([[1.0], [-1.0]]))
    with pytest.raises(IndexError):
        network(x, TIMES, torch.tensor([0, network.null_class + 1]))


@GUIDED
def test_an_image_as_it_is_is_a_vector_of_zeros(make, name):
    network, x = make(name), images()
    assert torch.equal(network(x, TIMES, LABELS), network(x, TIMES, LABELS, torch.zeros(2, 3)))


@GUIDED
def test_dropout_acts_in_training_alone(make, name):
    network, x = make(name, dropout=0.5), images()
    assert torch.equal(network(x, TIMES, LABELS), network(x, TIMES, LABELS))
    network.train()
    assert not torch.equal(network(x, TIMES, LABELS), network(x, TIMES, LABELS))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("annotated", {"standardization": "walkthrough", "n_classes": 3}),
        *((name, {"dropout": 0.25}) for name in ("pixel", "latent", "medienet")),
        ("medienet", {"rope": False, "spatial_attention": False}),
        ("medienet", {"cross_attention": False}),
    ],
)
def test_a_saved_and_loaded_network_is_the_same(tmp_path, make, name, settings):
    network, x = make(name, **settings), images()
    network.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "diffusion_pytorch_model.safetensors"]
    loaded = type(network).from_pretrained(tmp_path, local_files_only=True).eval()
    assert {key: loaded.config[key] for key in settings} == settings
    weights = loaded.state_dict()
    assert all(torch.equal(weight, weights[key]) for key, weight in network.state_dict().items())
    # Weights that lie elsewhere in memory may be summed by another kernel; 1e-4 as above.
    torch.testing.assert_close(loaded(x, TIMES, LABELS), network(x, TIMES, LABELS), atol=1e-4, rtol=0)


# diffusers' networks ---------------------------------------------------------------------------------------------


def test_the_class_reaches_a_latent_network_through_its_tokens_alone(make):
    network, x = make("latent"), images()
    before = network(x, TIMES, LABELS)
    with torch.no_grad():
        network.tokens.weight[:] = network.tokens.weight[:1]
    torch.testing.assert_close(network(x, TIMES, LABELS), network(x, TIMES, 1 - LABELS), atol=0, rtol=0)
    assert not torch.allclose(network(x, TIMES, LABELS), before)


def attentions(network, self_attention):
    return sum(isinstance(m, Attention) and (m.is_cross_attention != self_attention) for m in network.modules())


@pytest.mark.parametrize(("stages", "expected"), [(1, 1), (2, 2), (5, 3)])
def test_the_last_stages_of_a_pixel_network_attend(make, stages, expected):
    network = make("pixel", widths=(8, 8, 16), attention_stages=stages)
    down = [attentions(block, True) for block in network.unet.down_blocks]
    assert down == [0] * (3 - expected) + [1] * expected
    assert [attentions(block, True) for block in network.unet.up_blocks] == [2 * n for n in down[::-1]]


def test_every_stage_of_a_latent_network_cross_attends_with_so_many_heads(make):
    network = make("latent", widths=(8, 16), heads=4)
    blocks = [*network.unet.down_blocks, network.unet.mid_block, *network.unet.up_blocks]
    assert all(attentions(block, False) >= 1 for block in blocks)
    assert {module.heads for module in network.modules() if isinstance(module, Attention)} == {4}
