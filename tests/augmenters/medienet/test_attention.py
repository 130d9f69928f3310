import itertools

import pytest
import torch
from torch import nn

from medbench.augmenters.medienet.attention import (
    ChannelAttention,
    ClassTokens,
    CrossAttention,
    MultiAttention,
    SelfAttention,
    SpatialAttention,
    axial_angles,
    map_of,
    rotate,
    split_heads,
    tokens_of,
)

CHANNELS, HEADS, CONTEXT = 16, 2, 6


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def features(height=5, width=4):
    return torch.randn(2, CHANNELS, height, width)


def test_channel_attention_rescales_channels_only():
    part, x = ChannelAttention(CHANNELS).double(), features().double()
    nn.init.ones_(part.gain)
    rescaled = (part(x) - x) / part.norm(x)
    # In float64, as the quotient of a value near 0 loses digits.
    torch.testing.assert_close(rescaled, rescaled[:, :, :1, :1].expand_as(rescaled), atol=1e-9, rtol=0)
    assert rescaled[0, :, 0, 0].std() > 1e-3  # one channel is not treated as the next,
    assert (rescaled[0] - rescaled[1]).abs().max() > 1e-3  # nor one image as the next


def test_channel_attention_is_squeeze_and_excitation():
    part, x = ChannelAttention(CHANNELS), features()
    nn.init.ones_(part.gain)
    first, second = part.excite.fc1, part.excite.fc2
    squeezed = part.norm(x).mean(dim=(2, 3))
    hidden = (squeezed @ first.weight[:, :, 0, 0].T + first.bias).clamp(min=0)
    gate = 1 / (1 + torch.exp(-(hidden @ second.weight[:, :, 0, 0].T + second.bias)))
    torch.testing.assert_close(part(x), x + part.norm(x) * gate[:, :, None, None], atol=1e-5, rtol=1e-5)


def test_spatial_attention_rescales_positions_only():
    part, x = SpatialAttention(CHANNELS).double(), features().double()
    nn.init.ones_(part.gain)
    rescaled = (part(x) - x) / part.norm(x)
    torch.testing.assert_close(rescaled, rescaled[:, :1].expand_as(rescaled), atol=1e-9, rtol=0)
    assert rescaled[0, 0].std() > 1e-3
    assert (rescaled[0] - rescaled[1]).abs().max() > 1e-3


def test_spatial_attention_weighs_by_mean_and_max_of_the_channels():
    """The gate at one position, summed by hand over the 7×7 window."""
    part, x = SpatialAttention(CHANNELS), features(9, 9)
    nn.init.ones_(part.gain)
    normed = part.norm(x)
    maps = torch.stack([normed.mean(1), normed.max(1).values], dim=1)
    gate = torch.sigmoid((maps[:, :, 1:8, 1:8] * part.conv.weight).sum(dim=(1, 2, 3)) + part.conv.bias)
    expected = x[:, :, 4, 4] + normed[:, :, 4, 4] * gate[:, None]
    torch.testing.assert_close(part(x)[:, :, 4, 4], expected, atol=1e-5, rtol=1e-5)


def test_plain_self_attention_equals_torchs(awake):
    part, x = awake(SelfAttention(CHANNELS, HEADS, rope=False)), features()
    published = nn.MultiheadAttention(CHANNELS, HEADS, batch_first=True)
    weights = {"in_proj_weight": part.qkv.weight, "in_proj_bias": part.qkv.bias}
    published.load_state_dict(weights | {"out_proj.weight": part.out.weight, "out_proj.bias": part.out.bias})
    tokens = tokens_of(part.norm(x))
    attended = published(tokens, tokens, tokens)[0]
    torch.testing.assert_close(part(x), x + map_of(attended, x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("rope", [False, True])
def test_only_rope_tells_self_attention_where_things_are(awake, rope):
    """Turned by 90 degrees, an image gives the turned result unless the attention knows rows and columns."""
    part, x = awake(SelfAttention(CHANNELS, HEADS, rope)), features()
    difference = (part(x.rot90(dims=(2, 3))) - part(x).rot90(dims=(2, 3))).abs().max()
    assert difference > 1e-3 if rope else difference < 1e-5


def test_without_rope_nothing_but_the_rotation_changes(awake):
    turned, plain = (awake(SelfAttention(CHANNELS, HEADS, rope)) for rope in (True, False))
    plain.load_state_dict(turned.state_dict())
    single = torch.randn(2, CHANNELS, 1, 1)  # at position (0, 0) the rotation is the identity
    torch.testing.assert_close(turned(single), plain(single), atol=0, rtol=0)
    assert not torch.allclose(turned(features()), plain(features()))


def test_self_attention_compares_a_query_with_keys_turned_by_their_offset(awake):
    """Written out pair by pair on a map that is not square."""
    part, x = awake(SelfAttention(CHANNELS, HEADS)), features(3, 2)
    q, k, v = (split_heads(tokens, HEADS) for tokens in part.qkv(tokens_of(part.norm(x))).chunk(3, dim=-1))
    logits = torch.empty(2, HEADS, 6, 6)
    for n, m in itertools.product(range(6), repeat=2):
        offset = axial_angles(torch.tensor([m // 2 - n // 2]), torch.tensor([m % 2 - n % 2]), CHANNELS // HEADS)
        logits[:, :, n, m] = (q[:, :, n] * rotate(k[:, :, m : m + 1], offset)[:, :, 0]).sum(-1)
    attended = (logits / (CHANNELS // HEADS) ** 0.5).softmax(dim=-1) @ v
    expected = x + map_of(part.out(attended.transpose(1, 2).reshape(2, 6, CHANNELS)), x)
    torch.testing.assert_close(part(x), expected, atol=1e-5, rtol=1e-5)


def test_cross_attention_equals_torchs(awake):
    part, x, context = awake(CrossAttention(CHANNELS, HEADS, CONTEXT)), features(), torch.randn(2, 3, CONTEXT)
    published = nn.MultiheadAttention(CHANNELS, HEADS, batch_first=True, kdim=CONTEXT, vdim=CONTEXT)
    key, value = part.kv.weight.chunk(2)
    none = torch.zeros(2 * CHANNELS)
    weights = {"q_proj_weight": part.q.weight, "k_proj_weight": key, "v_proj_weight": value}
    weights |= {"in_proj_bias": torch.cat([part.q.bias, none])}
    published.load_state_dict(weights | {"out_proj.weight": part.out.weight, "out_proj.bias": part.out.bias})
    attended = published(tokens_of(part.norm(x)), context, context)[0]
    torch.testing.assert_close(part(x, context), x + map_of(attended, x), atol=1e-5, rtol=1e-5)


def test_tokens_of_a_class_are_its_row_and_learn_alone():
    tokens, labels = ClassTokens(n_classes=2, tokens_per_class=3, context_dim=CONTEXT), torch.tensor([2, 0, 2])
    assert tokens.table.shape == (3, 3, CONTEXT)
    torch.testing.assert_close(tokens(labels), tokens.table[labels], atol=0, rtol=0)
    tokens(labels).sum().backward()
    assert [row.unique().tolist() for row in tokens.table.grad] == [[1.0], [0.0], [2.0]]


def test_every_part_starts_as_the_identity_and_learns_from_the_first_step():
    module, x, context = MultiAttention(CHANNELS, HEADS, CONTEXT), features(), torch.randn(2, 3, CONTEXT)
    y = module(x, context)
    torch.testing.assert_close(y, x, atol=0, rtol=0)
    y.square().sum().backward()
    for part in (module.channel.gain, module.spatial.gain, module.self_attention.out.weight):
        assert part.grad.abs().max() > 1e-3
    assert module.cross_attention.out.weight.grad.abs().max() > 1e-3


def test_parts_follow_one_another(awake):
    module, x, context = awake(MultiAttention(CHANNELS, HEADS, CONTEXT)), features(), torch.randn(2, 3, CONTEXT)
    expected = module.self_attention(module.spatial(module.channel(x)))
    torch.testing.assert_close(module(x, context), module.cross_attention(expected, context), atol=0, rtol=0)


SIZES = [(1, 1), (4, 4), (3, 7), (16, 16), (5, 40)]


def logits(q, k, rows, columns):
    angles = axial_angles(rows, columns, q.shape[-1])
    return rotate(q, angles) @ rotate(k, angles).transpose(-1, -2)


def draws(n, head_dim=8):
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(2, 3, n, head_dim, generator=generator) for _ in range(2))


@pytest.mark.parametrize("height, width", SIZES)
@pytest.mark.parametrize("shift", [(5, 0), (0, 11), (-3, 40)])
def test_logits_know_relative_offsets_only(height, width, shift):
    q, k = draws(height * width)
    rows, columns = torch.arange(height), torch.arange(width)
    before, after = logits(q, k, rows, columns), logits(q, k, rows + shift[0], columns + shift[1])
    # float32 angles of up to 80 radians are exact to 4e-6, which is also what was seen; sums of 8 products of size 1.
    torch.testing.assert_close(after, before, atol=4e-5, rtol=0)


@pytest.mark.parametrize("row, column", [(1, 0), (0, 1)])
def test_logits_do_change_with_the_offset_along_either_axis(row, column):
    q = k = torch.ones(1, 1, 1, 8)
    near = rotate(q, axial_angles(torch.tensor([0]), torch.tensor([0]), 8)) @ k.mT
    far = rotate(q, axial_angles(torch.tensor([row]), torch.tensor([column]), 8)) @ k.mT
    # Of four pairs, one turns by 1 radian and one by 0.01: the product 8 falls to 4 + 2 cos(1) + 2 cos(0.01).
    torch.testing.assert_close(far, near - 2 * (1 - torch.cos(torch.tensor([[[[1.0]]]]))), atol=2e-4, rtol=0)


@pytest.mark.parametrize("height, width", SIZES)
def test_rotation_is_the_published_complex_product(height, width):
    """Against complex numbers, position by position, in float64: (x_a + i x_b) e^{i m θ}, θ_j = 10000^{-2j/d}."""
    head_dim = 16
    d = head_dim // 2  # channels of one axis
    x, _ = draws(height * width, head_dim)
    turned = rotate(x, axial_angles(torch.arange(height), torch.arange(width), head_dim)).double()
    pairs = torch.complex(x[..., :d].double(), x[..., d:].double())
    theta = torch.tensor([10000 ** (-2 * j / d) for j in range(d // 2)], dtype=torch.float64)
    for n in range(height * width):
        m = torch.cat([n // width * theta, n % width * theta])
        expected = pairs[:, :, n] * torch.polar(torch.ones_like(m), m)
        actual = torch.complex(turned[:, :, n, :d], turned[:, :, n, d:])
        # float32 beside float64, with angles of up to 40 radians.
        torch.testing.assert_close(actual, expected, atol=2e-5, rtol=0)


def test_half_of_the_channels_turn_with_the_row_and_half_with_the_column():
    x = torch.ones(1, 1, 1, 16)

    def turned(row, column):
        return rotate(x, axial_angles(torch.tensor([row]), torch.tensor([column]), 16))[0, 0, 0]

    by_row, by_column = turned(1, 0) != turned(0, 0), turned(0, 1) != turned(0, 0)
    assert by_row.sum() == by_column.sum() == 8
    assert not (by_row & by_column).any()


def test_turned_queries_keep_their_dtype_and_length():
    x = torch.randn(1, 2, 6, 8, generator=torch.Generator().manual_seed(0))
    angles = axial_angles(torch.arange(2), torch.arange(3), 8)
    torch.testing.assert_close(rotate(x, angles).norm(dim=-1), x.norm(dim=-1))
    assert rotate(x.bfloat16(), angles).dtype == torch.bfloat16
