import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from medbench.augmenters.codec import LatentCodec, Padding, PixelCodec
from medbench.core.errors import UserError
from medbench.training.task import Draws


def vae(channels: int = 1, scaling_factor: float = 0.37, **settings) -> AutoencoderKL:
    """Untrained, with latents far from unit standard deviation."""
    torch.manual_seed(0)
    network = AutoencoderKL(
        in_channels=channels,
        out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 16),
        norm_num_groups=2,
        latent_channels=3,
        scaling_factor=scaling_factor,
        **settings,
    )
    with torch.no_grad():
        network.quant_conv.weight[:3] *= 20
    return network.eval()


def images(n: int = 6, channels: int = 1, size: tuple[int, int] = (12, 12)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (n, channels, *size), dtype=torch.uint8, generator=generator)


def draws(seed: int) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def in_model_range(x: torch.Tensor) -> torch.Tensor:
    return x.float() / 127.5 - 1


@pytest.mark.parametrize(
    ("size", "divisor", "padded"), [((30, 30), 4, (32, 32)), ((28, 9), 8, (32, 16)), ((12, 16), 4, (12, 16))]
)
def test_padding_reflects_and_crops_back(size, divisor, padded):
    padding, x = Padding(size, divisor), images(2, 3, size).float()
    assert padding.size == padded
    wide = padding.pad(x)
    (top, left), before = (padding.top, padding.left), [(b - a) // 2 for a, b in zip(size, padded, strict=True)]
    assert [top, left] == before  # the image stays in the middle
    around = [(0, 0), (0, 0), *((b, p - s - b) for b, p, s in zip(before, padded, size, strict=True))]
    np.testing.assert_array_equal(wide, np.pad(x, around, mode="reflect"))
    assert torch.equal(padding.crop(wide), x)


def test_padding_is_refused_where_reflection_ends():
    assert Padding((12, 12), 32).size == (32, 32)
    # 11 pixels lack 21 of 32: 10 at one end, and 11 at the other, which is one more than reflection has.
    with pytest.raises(
        UserError, match=r"^images of 12×11 are too small .* multiple of 32; give fewer widths .*image_"
    ):
        Padding((12, 11), 32)


def test_pixel_codec_changes_range_and_padding_alone():
    codec, x = PixelCodec(3, (30, 12), 8).to("cpu"), images(2, 3, (30, 12))
    codes = codec.encode(x, None)
    assert codec.shape == codes.shape[1:] == (3, 32, 16)
    assert (codes.dtype, codes.min(), codes.max()) == (torch.float32, -1, 1)
    assert torch.equal(codec.decode(codes), in_model_range(x))
    assert torch.equal(codec.encode(x, Draws(torch.Generator())), codes)


def test_latents_of_the_images_it_was_calibrated_on_have_unit_deviation():
    codec, x = LatentCodec(vae(), 1, (12, 12), divisor=2), images(60)
    assert not 0.8 < codec.encode(x, draws(0)).std() < 1.25
    codec.calibrate(x, batch_size=7, draws=draws(0))
    # The same draws batch by batch have deviation 1 to rounding; others, of 60 × 108 latents, to within 4/√(2 · 6480).
    pieces, same = x.split(7), draws(0)
    latents = torch.cat([codec.encode(piece, same) for piece in pieces])
    assert latents.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    assert codec.encode(x, draws(1)).std().item() == pytest.approx(1, abs=0.035)


def test_codes_are_scaled_latents_and_decoding_undoes_the_scale():
    network, x = vae(scaling_factor=0.37), images()
    codec = LatentCodec(network, 1, (12, 12), divisor=2)
    with torch.no_grad():
        posterior = network.encode(in_model_range(x)).latent_dist
        reconstruction = network.decode(posterior.mode()).sample
    assert codec.shape == (3, 6, 6)
    torch.testing.assert_close(codec.encode(x, None), 0.37 * posterior.mode())
    drawn = codec.encode(x, draws(3))
    torch.testing.assert_close(drawn, 0.37 * posterior.sample(torch.Generator().manual_seed(3)))
    # Dividing what was multiplied rounds the last bit of float32, which the network then spreads.
    torch.testing.assert_close(codec.decode(codec.encode(x, None)), reconstruction, rtol=1e-4, atol=1e-5)


def test_first_stage_and_denoiser_both_divide_the_padded_image():
    codec, x = LatentCodec(vae(3), 3, (30, 9), divisor=4), images(2, 3, (30, 9))
    codes = codec.encode(x, None)
    assert codes.shape[1:] == codec.shape == (3, 16, 8)  # 32×16 pixels, halved once
    assert codec.decode(codes).shape == x.shape


def test_a_first_stage_for_colour_takes_gray_images_three_times():
    network, x = vae(channels=3), images()
    gray, colour = LatentCodec(network, 1, (12, 12), 1), LatentCodec(network, 3, (12, 12), 1)
    codes = gray.encode(x, None)
    assert torch.equal(codes, colour.encode(x.repeat(1, 3, 1, 1), None))
    torch.testing.assert_close(gray.decode(codes), colour.decode(codes).mean(1, keepdim=True))


def test_a_first_stage_for_gray_images_refuses_colour():
    with pytest.raises(UserError, match=r"^the first stage is for images of 1 channel, not 3; name one that"):
        LatentCodec(vae(1), 3, (12, 12), 1)


def test_the_first_stage_is_frozen_and_works_in_float32():
    codec, x = LatentCodec(vae().train(), 1, (12, 12), 1), images()
    assert not codec.vae.training
    codes = codec.encode(x, None)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(codec.encode(x, None), codes)
        decoded = codec.decode(codes.bfloat16())
    assert decoded.dtype == torch.float32
    assert torch.equal(decoded, codec.decode(codes.bfloat16().float()))
    assert not decoded.requires_grad


def test_load_takes_weights_and_scale_from_a_models_folder(tmp_path):
    network, x = vae(scaling_factor=0.37, sample_size=[12, 12]), images()
    network.save_pretrained(tmp_path / "vae")
    codec = LatentCodec.load(tmp_path, 1, (12, 12), 2)
    assert torch.equal(codec.encode(x, None), LatentCodec(network, 1, (12, 12), 2).encode(x, None))
    with pytest.raises(UserError, match=r"holds no first stage \(expected a folder vae in it\)"):
        LatentCodec.load(tmp_path / "vae", 1, (12, 12), 2)
