import pytest
import torch

from medbench.augmenters.medienet import MedIENetUNet
from medbench.augmenters.medienet.attention import CrossAttention, SelfAttention

SMALL = {"in_channels": 4, "widths": (16, 32), "layers_per_stage": 1, "heads": 2, "n_classes": 3}
SMALL |= {"tokens_per_class": 2, "context_dim": 8, "dropout": 0.1}


def small(**settings):
    torch.manual_seed(0)
    return MedIENetUNet(**{**SMALL, **settings}).eval()


def inputs(height=8, width=8, batch=2):
    torch.manual_seed(3)
    return torch.randn(batch, 4, height, width), torch.arange(batch) * 7, torch.arange(batch) % 4


def test_a_side_that_the_halvings_do_not_divide_is_named():
    with pytest.raises(ValueError, match="latent of 8×6: both sides must be multiples of 4"):
        small(widths=(16, 16, 16))(*inputs(8, 6))


@pytest.mark.parametrize("widths, heads", [((16, 20), 2), ((8, 16), 4), ((8, 16), 3)])
@pytest.mark.parametrize("rope", [True, False])
def test_a_head_that_rope_cannot_turn_is_refused(widths, heads, rope):
    """Without RoPE too, so that the ablation has the same networks."""
    with pytest.raises(ValueError, match=rf"widths \[{widths[0]}, {widths[1]}\] with heads {heads}: .* = {4 * heads}"):
        small(widths=widths, heads=heads, rope=rope)


def test_predicts_zero_before_training(awake):
    assert not small()(*inputs()).any()
    assert awake(small())(*inputs()).any()


@pytest.mark.parametrize("cross_attention", [True, False])
@pytest.mark.parametrize("multi_attention", [True, False])
def test_every_label_and_the_null_class_give_another_prediction(awake, cross_attention, multi_attention):
    network = awake(small(cross_attention=cross_attention, multi_attention=multi_attention))
    assert network.null_class == 3
    x, t, _ = inputs(batch=1)
    noises = [network(x, t, torch.tensor([k])) for k in range(4)]
    for i in range(4):
        for j in range(i):
            assert (noises[i] - noises[j]).abs().max() > 1e-3
    with pytest.raises(IndexError):
        network(x, t, torch.tensor([4]))


def shapes(**settings):
    return {name: tensor.shape for name, tensor in small(**settings).state_dict().items()}


STAGES = ("encoder.0", "encoder.1")
MODULE = tuple(f"{stage}.attention" for stage in STAGES)
REMOVED = {
    "multi_attention": MODULE,
    "channel_attention": tuple(f"{module}.channel." for module in MODULE),
    "spatial_attention": tuple(f"{module}.spatial." for module in MODULE),
    "self_attention": tuple(f"{module}.self_attention." for module in MODULE),
    "rope": (),
    "cross_attention": (
        "class_tokens.",
        *(f"{part}.cross_attention." for part in (*MODULE, "middle", "decoder.0", "decoder.1")),
    ),
}


@pytest.mark.parametrize("switch", REMOVED)
def test_a_switch_removes_its_own_parameters_and_no_others(switch):
    full, ablated = shapes(), shapes(**{switch: False})
    removed = {name for name in full if name.startswith(REMOVED[switch])} if REMOVED[switch] else set()
    added = {"label.weight": (4, 64)} if switch == "cross_attention" else {}
    assert all(any(name.startswith(prefix) for name in removed) for prefix in REMOVED[switch])
    assert ablated == {name: shape for name, shape in full.items() if name not in removed} | added


def count(network, part):
    return sum(isinstance(module, part) for module in network.modules())


@pytest.mark.parametrize(
    "settings, self_attentions, cross_attentions",
    [
        ({}, 3, 5),  # two encoder stages and the middle; the two decoder stages attend to the class only
        ({"multi_attention": False}, 1, 3),
        ({"self_attention": False}, 1, 5),
        ({"cross_attention": False}, 3, 0),
    ],
)
def test_where_attention_is(settings, self_attentions, cross_attentions):
    network = small(**settings)
    assert count(network, SelfAttention) == self_attentions
    assert count(network, CrossAttention) == cross_attentions


def test_without_rope_every_self_attention_is_plain_and_nothing_else_changes(awake):
    turned, plain = awake(small(widths=(16,))), awake(small(widths=(16,), rope=False))
    for name, tensor in turned.state_dict().items():
        torch.testing.assert_close(plain.state_dict()[name], tensor, atol=0, rtol=0)
    torch.testing.assert_close(turned(*inputs(1, 1)), plain(*inputs(1, 1)), atol=0, rtol=0)
    assert not torch.allclose(turned(*inputs(4, 4)), plain(*inputs(4, 4)))
    assert not any(module.rope for module in plain.modules() if isinstance(module, SelfAttention))


@pytest.mark.parametrize("cross_attention", [True, False])
def test_every_weight_learns(awake, cross_attention):
    network, (x, t, _) = awake(small(cross_attention=cross_attention)), inputs(batch=4)
    network(x, t, torch.arange(4), torch.randn(4, 3)).square().sum().backward()
    # The weakest gradient seen is above 1; what is cut off, or moved by rounding alone, stays far below 1e-3.
    assert [n for n, p in network.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-3] == []
