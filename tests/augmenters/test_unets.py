import pytest
import torch
from diffusers.models.attention_processor import Attention

from medbench.augmenters.cddpm import PixelUNet
from medbench.augmenters.latent import LatentUNet

TIMES, LABELS = torch.tensor([0, 999]), torch.tensor([0, 1])
NETWORKS = pytest.mark.parametrize("make", [lambda **s: pixels(**s), lambda **s: latents(**s)], ids=["pixel", "latent"])


def pixels(**settings) -> PixelUNet:
    base = {"channels": 1, "widths": (8, 16), "layers_per_stage": 1, "attention_stages": 1}
    return PixelUNet(**{**base, "n_classes": 2, "dropout": 0.0, **settings}).eval()


def latents(**settings) -> LatentUNet:
    base = {"channels": 1, "widths": (8, 16), "layers_per_stage": 1, "heads": 2, "tokens_per_class": 3}
    return LatentUNet(**{**base, "context_dim": 8, "n_classes": 2, "dropout": 0.0, **settings}).eval()


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def images(n=2, channels=1, size=(8, 8)) -> torch.Tensor:
    return torch.randn(n, channels, *size)


@NETWORKS
@pytest.mark.parametrize(
    ("channels", "size", "widths"), [(1, (8, 8), (8, 16)), (4, (12, 4), (8, 8, 16)), (3, (5, 7), (8,))]
)
def test_what_comes_back_is_like_what_went_in(make, channels, size, widths):
    network = make(channels=channels, widths=widths)
    assert network(images(2, channels, size), TIMES, LABELS).shape == (2, channels, *size)


@NETWORKS
def test_time_class_null_class_and_augmentation_all_matter(make):
    network, x = make(), images(1).expand(2, -1, -1, -1)
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


@NETWORKS
def test_sampling_tells_of_no_augmentation_which_is_a_vector_of_zeros(make):
    network, x = make(), images()
    assert torch.equal(network(x, TIMES, LABELS), network(x, TIMES, LABELS, torch.zeros(2, 3)))


@NETWORKS
def test_labels_beyond_the_null_class_are_an_error(make):
    with pytest.raises(IndexError):
        make()(images(), TIMES, torch.tensor([0, 3]))


def test_the_class_reaches_a_latent_network_through_its_tokens_alone():
    network, x = latents(), images()
    before = network(x, TIMES, LABELS)
    with torch.no_grad():
        network.tokens.weight[:] = network.tokens.weight[:1]
    torch.testing.assert_close(network(x, TIMES, LABELS), network(x, TIMES, 1 - LABELS), atol=0, rtol=0)
    assert not torch.allclose(network(x, TIMES, LABELS), before)


def attentions(network, self_attention):
    return sum(isinstance(m, Attention) and (m.is_cross_attention != self_attention) for m in network.modules())


@pytest.mark.parametrize(("stages", "expected"), [(1, 1), (2, 2), (5, 3)])
def test_the_last_stages_of_a_pixel_network_attend(stages, expected):
    network = pixels(widths=(8, 8, 16), attention_stages=stages)
    down = [attentions(block, True) for block in network.unet.down_blocks]
    assert down == [0] * (3 - expected) + [1] * expected
    assert [attentions(block, True) for block in network.unet.up_blocks] == [2 * n for n in down[::-1]]


def test_every_stage_of_a_latent_network_cross_attends_with_so_many_heads():
    network = latents(widths=(8, 16), heads=4)
    blocks = [*network.unet.down_blocks, network.unet.mid_block, *network.unet.up_blocks]
    assert all(attentions(block, False) >= 1 for block in blocks)
    assert {module.heads for module in network.modules() if isinstance(module, Attention)} == {4}


@NETWORKS
def test_images_of_a_batch_do_not_see_each_other(make):
    network, x = make(), images()
    # Another batch size sums in another order: 1e-5 is ten times what was seen for outputs of size 1.
    torch.testing.assert_close(network(x, TIMES, LABELS)[1:], network(x[1:], TIMES[1:], LABELS[1:]), atol=1e-5, rtol=0)


@NETWORKS
def test_dropout_acts_in_training_alone(make):
    network, x = make(dropout=0.5), images()
    assert torch.equal(network(x, TIMES, LABELS), network(x, TIMES, LABELS))
    network.train()
    assert not torch.equal(network(x, TIMES, LABELS), network(x, TIMES, LABELS))


@NETWORKS
def test_a_saved_and_loaded_network_is_the_same(tmp_path, make):
    network, x = make(dropout=0.25), images()
    network.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "diffusion_pytorch_model.safetensors"]
    loaded = type(network).from_pretrained(tmp_path, local_files_only=True).eval()
    assert loaded.config.dropout == 0.25
    assert loaded.null_class == 2
    assert torch.equal(loaded(x, TIMES, LABELS), network(x, TIMES, LABELS))
