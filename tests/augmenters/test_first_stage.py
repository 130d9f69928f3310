import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from medbench.augmenters.base import ImageSpec
from medbench.augmenters.codec import LatentCodec
from medbench.augmenters.decoder_sections import Autoencoder
from medbench.augmenters.first_stage import AutoencoderAugmenter
from medbench.core.errors import UserError
from medbench.core.rng import numpy_rng
from medbench.data.dataset import Split
from medbench.run.files import sha256_of
from medbench.training.task import Draws
from tests.helpers.jobs import job_in

STEPS = 8


def section(**settings) -> Autoencoder:
    base = {"kind": "autoencoder", "widths": (8, 16), "layers_per_stage": 1, "steps": STEPS, "batch_size": 8}
    tiny = {"discriminator_width": 8, "log_every": 2, "checkpoint_every": 3, "sample_batch_size": 4, "ema_decay": 0.9}
    return Autoencoder(**{**base, **tiny, **settings})


@pytest.fixture
def job(tmp_path):
    return lambda name="checkpoints", **given: job_in(tmp_path / name, **given)


@pytest.fixture
def fitted(tiny_dataset, job):
    """A function that trains for a moment: the augmenter, the rows of its log, and the dataset."""

    def make(name="checkpoints", size=12, channels=1, given=None, **settings):
        dataset = tiny_dataset(size=size, channels=channels)
        augmenter = AutoencoderAugmenter(section(**settings), ImageSpec.of_card(dataset.card))
        rows = augmenter.fit(dataset.splits["train"], dataset.splits["val"], job(name, given=given))
        return augmenter, rows, dataset

    return make


# Training -------------------------------------------------------------------------------------------------------


def test_reconstructions_get_better_than_any_one_image_could_be(job):
    """Blocks of 4×4 pixels: 9 numbers an image, which 144 latents can hold."""
    coarse = numpy_rng(0, "blocks").randint(0, 256, (80, 3, 3))
    blocks = np.kron(coarse, np.ones((4, 4), dtype=np.int64)).astype(np.uint8)
    train, val = (Split(part, np.zeros(40, dtype=np.int64), np.arange(40)) for part in (blocks[:40], blocks[40:]))
    blocks_section = section(steps=50, log_every=5, learning_rate=3e-3, discriminator_weight=0)
    rows = AutoencoderAugmenter(blocks_section, ImageSpec(1, (12, 12), ("blocks",), False)).fit(train, val, job())
    mean_image = 10 * np.log10(255**2 / val.images.var())
    assert rows[0]["psnr"] < mean_image + 0.5
    assert rows[-1]["psnr"] > mean_image + 6  # 12 dB more were seen
    assert rows[-1]["ssim"] > rows[0]["ssim"] + 0.2
    assert rows[-1]["l1"] < rows[0]["l1"] / 2


def test_the_log_tells_the_warm_up_from_the_rest(fitted):
    with_it, without = (fitted(name, discriminator_weight=w)[1] for name, w in (("a", 0.5), ("b", 0)))
    assert [row["step"] for row in with_it] == [2, 4, 6, 8]
    assert {row["component"] for row in with_it} == {"vae"}
    assert [row["loss_discriminator"] > 0 for row in with_it] == [False, False, True, True]
    for early, plain in zip(with_it[:2], without[:2], strict=True):
        assert (early["loss"], early["psnr"]) == (plain["loss"], plain["psnr"])
    assert with_it[3]["psnr"] != without[3]["psnr"]


def test_an_image_too_small_for_its_widths_is_refused(fitted):
    with pytest.raises(UserError, match=r"images of 12×12 are too small for networks that need a multiple of 64"):
        fitted(widths=(8,) * 7)


# The trained model ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "channels", "widths"), [(12, 1, (8, 16)), (12, 3, (8, 16)), (30, 1, (8, 8, 8)), (30, 3, (8, 8, 8))]
)
def test_saved_and_loaded_it_reconstructs_real_images_of_the_labels(tmp_path, fitted, job, size, channels, widths):
    augmenter, _, dataset = fitted(size=size, channels=channels, widths=widths, steps=1)
    augmenter.save(tmp_path / "model")
    loaded = AutoencoderAugmenter.load(augmenter.section, augmenter.spec, tmp_path / "model")
    labels = np.array([1, 0, 0, 1, 1])
    samples = loaded.sample(labels, job("sampling"))
    assert (samples.images.dtype, samples.images.shape) == (np.uint8, (5, *dataset.splits["train"].images.shape[1:]))
    np.testing.assert_array_equal(samples.labels, labels)
    real = loaded.real_images(labels, job())
    codec = LatentCodec(augmenter.vae, channels, (size, size), 1)
    x = torch.from_numpy(real if channels == 3 else real[..., None]).permute(0, 3, 1, 2)
    wanted = (codec.decode(codec.encode(x, None)).clamp(-1, 1) + 1) * 127.5
    images = samples.images if channels == 3 else samples.images[..., None]
    # Half a grey level of rounding, and as much again where the sum in another memory layout crosses it.
    np.testing.assert_allclose(images, wanted.permute(0, 2, 3, 1), atol=0.51)


def test_samples_do_not_depend_on_the_batch_size_and_use_each_image_once_before_any_repeats(fitted, job):
    augmenter, _, _ = fitted(steps=60, log_every=60, learning_rate=3e-3, discriminator_weight=0)
    labels = np.arange(80) % 2
    many = augmenter.sample(labels, job("many")).images
    augmenter.section = augmenter.section.model_copy(update={"sample_batch_size": 7})
    few = augmenter.sample(labels[:10], job("few")).images
    # Another batch size rounds differently in the last bits of float32; one grey level is what that can flip.
    assert np.abs(many[:10].astype(int) - few).max() <= 1
    assert len({image.tobytes() for image in many[:40]}) == 40
    assert len({image.tobytes() for image in many}) == 40
    other = augmenter.sample(labels[:10], job("other", seed=9)).images
    assert np.abs(many[:10].astype(int) - other).max() > 10
    assert many[labels == 1].mean() - many[labels == 0].mean() > 60  # the classes differ by 90 grey levels


def test_latents_of_the_training_images_have_unit_deviation_after_fit(fitted):
    augmenter, _, dataset = fitted(size=30, widths=(8, 8, 8))
    x = torch.from_numpy(dataset.splits["train"].images)[:, None]
    codes = LatentCodec(augmenter.vae, 1, (30, 30), 1).encode(x, Draws(torch.Generator().manual_seed(7)))
    # 40 × 4 × 64 latents: other draws change the deviation by a few times 1/√(2 · 10240).
    assert codes.std().item() == pytest.approx(1, abs=0.03)


# Published weights ----------------------------------------------------------------------------------------------


@pytest.fixture
def published(tmp_path):
    """A function that writes the file of an untrained vae, and gives the settings that name it."""

    def make(channels=1, quant_conv=True, rename=lambda name: name):
        torch.manual_seed(3)
        vae = AutoencoderAugmenter(section(), ImageSpec(channels, (8, 8), ("a",), False))._new_vae(channels, quant_conv)
        file = tmp_path / "published.safetensors"
        save_file({rename(name): weight for name, weight in vae.state_dict().items()}, file)
        return {"given": file, "weights": {"path": str(file), "sha256": sha256_of(file)}}

    return make


def as_diffusers_wrote_in_2022(name: str) -> str:
    for new, old in ((".to_q.", ".query."), (".to_k.", ".key."), (".to_v.", ".value."), (".to_out.0.", ".proj_attn.")):
        name = name.replace(new, old)
    return name


@pytest.mark.parametrize("quant_conv", [True, False])
@pytest.mark.parametrize("rename", [lambda name: name, as_diffusers_wrote_in_2022], ids=["now", "2022"])
def test_published_weights_are_taken_as_they_are(fitted, published, quant_conv, rename):
    settings = published(quant_conv=quant_conv)
    wanted = load_file(settings["given"])
    settings = published(quant_conv=quant_conv, rename=rename)
    augmenter, rows, dataset = fitted(**settings)
    assert [(row["component"], row["step"]) for row in rows] == [("vae", 0)]
    assert {"psnr", "ssim", "l1"} <= set(rows[0])
    weights = augmenter.vae.state_dict()
    assert set(weights) == set(wanted)
    assert all(torch.equal(weight, weights[name]) for name, weight in wanted.items())
    x = torch.from_numpy(dataset.splits["train"].images)[:, None]
    codes = LatentCodec(augmenter.vae, 1, (12, 12), 1).encode(x, Draws(torch.Generator().manual_seed(7)))
    assert codes.std().item() == pytest.approx(1, abs=0.05)  # 40 × 4 × 36 latents, other draws


def test_a_published_autoencoder_for_colour_takes_gray_images(fitted, published, job):
    augmenter, _, _ = fitted(**published(channels=3))
    assert augmenter.sample(np.array([0, 1]), job("sampling")).images.shape == (2, 12, 12)


@pytest.mark.parametrize("settings", [{"widths": (8, 24)}, {"layers_per_stage": 2}, {"latent_channels": 3}])
def test_published_weights_of_another_shape_are_refused_in_one_line(fitted, published, settings):
    with pytest.raises(UserError, match=r"published.safetensors: does not fit widths .* give those it was") as refused:
        fitted(**published(), **settings)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("widths", "groups"), [((128, 256, 512), 32), ((32, 64), 8), ((8, 16), 2), ((24, 40), 4)])
def test_group_norm_has_as_many_groups_as_published_autoencoders(widths, groups):
    vae = AutoencoderAugmenter(section(widths=widths), ImageSpec(1, (16, 16), ("a",), False))._new_vae(1)
    assert vae.config.norm_num_groups == groups
