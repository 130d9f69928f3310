import torch

from medbench.augmenters.annotated import AnnotatedUNet
from medbench.augmenters.annotated.unet import LinearAttention, WeightStandardizedConv2d, sinusoidal_embedding


def small(**settings) -> AnnotatedUNet:
    torch.manual_seed(0)
    return AnnotatedUNet(**{"width": 8, "multipliers": (1, 2, 4), **settings}).eval()


def test_published_size():
    """Counted by hand from the walk-through's layers at width 28, one channel.

    A residual block a -> b at time width 112 has 9ab + 9bb + 6b (convolutions, their biases, norms), 226b (time) and,
    where a ≠ b, ab + b (shortcut). Attention on c channels: 2c + 384c + 128c + c, linear attention 2c more.
    """

    def residual(a, b):
        return 9 * a * b + 9 * b * b + 6 * b + 226 * b + (a * b + b if a != b else 0)

    def attention(c, linear):
        return 515 * c + (2 * c if linear else 0)

    stages = [(28, 28), (28, 56), (56, 112)]
    expected = (28 + 28) + (28 * 112 + 112) + (112 * 112 + 112)  # input convolution and time embedding
    expected += sum(2 * residual(a, a) + attention(a, True) for a, _ in stages)
    expected += (4 * 28 * 28 + 28) + (4 * 28 * 56 + 56) + (9 * 56 * 112 + 112)  # two down-samplings, one convolution
    expected += 2 * residual(112, 112) + attention(112, False)
    expected += sum(2 * residual(a + b, b) + attention(b, True) for a, b in stages)
    expected += sum(9 * a * b + a for a, b in stages)  # two up-samplings and a last convolution, all 3×3
    expected += residual(56, 28) + (28 + 1)
    assert sum(p.numel() for p in AnnotatedUNet().parameters()) == expected


def test_padding_reflects_right_and_bottom_and_is_cropped_back():
    network, x, t = small(), torch.randn(1, 1, 14, 15), torch.tensor([3])
    padded = torch.cat([x, x[:, :, [12, 11]]], dim=2)
    padded = torch.cat([padded, padded[:, :, :, [13]]], dim=3)
    torch.testing.assert_close(network(x, t), network(padded, t)[:, :, :14, :15], atol=0, rtol=0)


def test_a_label_matters_only_to_a_network_that_knows_labels():
    x, t, k = torch.randn(2, 1, 16, 16), torch.tensor([1, 1]), torch.tensor([0, 1])
    labelled = small(n_classes=2)
    assert not torch.allclose(labelled(x, t, k), labelled(x, t, 1 - k))
    unconditional = small()
    torch.testing.assert_close(unconditional(x, t, k), unconditional(x, t, 1 - k))


def test_standardized_filters_have_zero_mean_and_unit_variance():
    conv = WeightStandardizedConv2d(6, 8, "divide_by_std")
    weight = conv.standardized_weight()
    torch.testing.assert_close(weight.mean(dim=(1, 2, 3)), torch.zeros(8), atol=1e-6, rtol=0)
    # eps = 1e-5 beside a variance of about 1/(3·54) = 0.006 leaves 1.6e-3.
    torch.testing.assert_close(weight.var(dim=(1, 2, 3), correction=0), torch.ones(8), atol=5e-3, rtol=0)


def test_the_walkthroughs_form_multiplies_by_the_standard_deviation():
    torch.manual_seed(0)
    right, walkthrough = (WeightStandardizedConv2d(6, 8, form) for form in ("divide_by_std", "walkthrough"))
    walkthrough.load_state_dict(right.state_dict())
    variance = right.weight.var(dim=(1, 2, 3), correction=0, keepdim=True) + 1e-5
    torch.testing.assert_close(walkthrough.standardized_weight(), right.standardized_weight() * variance)


def test_linear_attention_is_the_published_sum():
    """Against the definition written out: Σ_n (softmax_n k) v, weighed by softmax_channels q, and the residual."""
    torch.manual_seed(0)
    attention, x = LinearAttention(8), torch.randn(2, 8, 4, 5)
    q, k, v = attention.qkv(x)
    q, k = q.softmax(dim=2) / 32**0.5, k.softmax(dim=3)
    summed = torch.einsum("bhdn,bhem,bhdm->bhen", q, v, k)
    torch.testing.assert_close(attention(x), x + attention.out(summed.reshape(2, 128, 4, 5)), atol=1e-5, rtol=1e-4)


def test_time_embedding_starts_at_zero_angle_and_ends_at_one_ten_thousandth():
    embedding = sinusoidal_embedding(torch.tensor([0, 1]), 28)
    torch.testing.assert_close(embedding[0], torch.cat([torch.zeros(14), torch.ones(14)]))
    torch.testing.assert_close(embedding[1, [0, 13]], torch.sin(torch.tensor([1.0, 1e-4])), rtol=1e-3, atol=1e-7)
