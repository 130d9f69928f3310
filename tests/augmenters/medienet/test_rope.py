import pytest
import torch

from medbench.augmenters.medienet.rope import axial_angles, grid_angles, rotate

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
    here, there = logits(q, k, rows, columns), logits(q, k, rows + shift[0], columns + shift[1])
    # float32 angles of up to 80 radians are exact to 4e-6, which is also what was seen; sums of 8 products of size 1.
    torch.testing.assert_close(there, here, atol=4e-5, rtol=0)


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
    turned = rotate(x, grid_angles(height, width, head_dim, x.device)).double()
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
    angles = grid_angles(2, 3, 8, x.device)
    torch.testing.assert_close(rotate(x, angles).norm(dim=-1), x.norm(dim=-1))
    assert rotate(x.bfloat16(), angles).dtype == torch.bfloat16
