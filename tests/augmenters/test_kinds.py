"""What holds of every kind: a model is the same saved and loaded, image i is made of i alone, a stopped fit goes on."""

from functools import cache

import numpy as np
import pytest

from medbench.augmenters import augmenter_class, section_class
from medbench.augmenters.base import ImageSpec
from medbench.run.files import sha256_of_folder
from tests.helpers.jobs import job_in, stopped_at

TRAINED = {"steps": 6, "batch_size": 8, "log_every": 3, "checkpoint_every": 3, "probe_images": 8, "ema_decay": 0.9}
DENOISER = {"timesteps": 20, "sample_steps": 4, "layers_per_stage": 1, **TRAINED}
LATENT = {"first_stage": "ae", "widths": (8, 16), "heads": 2, "context_dim": 8, **DENOISER}
DECODER = {"width": 8, "latent_dim": 4, **TRAINED}
KINDS = {
    "annotated_ddpm": {"multipliers": (1, 2), "timesteps": 20, "conditioning": "label", "sample_steps": 4, **TRAINED},
    "cddpm": {"widths": (8, 16), **DENOISER},
    "ldm": LATENT,
    "medienet": LATENT,
    "autoencoder": {"widths": (8, 16), "layers_per_stage": 1, "discriminator_width": 8, **TRAINED},
    "cvae": DECODER,
    "cgan": DECODER,
    "classic": {},
    "copy": {},
}
LOGGED = {  # component and columns beside step, images_seen and loss
    "annotated_ddpm": ("unet", {"eps_mse"}),
    **dict.fromkeys(("cddpm", "ldm", "medienet"), ("unet", {"eps_mse", "kept"})),
    "autoencoder": ("vae", {"psnr", "ssim", "l1", "loss_discriminator"}),
    "cvae": ("vae", {"val_mse", "val_kl"}),
    "cgan": ("generator", {"loss_discriminator", "val_real_score", "val_fake_score"}),
}
LABELS = np.array([0, 1, 1, 0, 1, 0, 1])


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, tiny_dataset):
    """A function that trains a kind for a moment: the augmenter, the rows of its log, its saved folder."""

    @cache
    def fit(kind, size=12, channels=1, stopped=None):
        section, folder = section_class(kind)(kind=kind, **KINDS[kind]), tmp_path_factory.mktemp(kind)
        first_stage = fit("autoencoder", size, channels)[2] if section.reads_model else None
        dataset, job = tiny_dataset(size=size, channels=channels), job_in(folder / "c", first_stage=first_stage)

        def once():
            augmenter = augmenter_class(kind)(section, ImageSpec.of_card(dataset.card))
            return augmenter, augmenter.fit(dataset.splits["train"], dataset.splits["val"], job)

        if stopped:
            with stopped_at(stopped):
                once()
        augmenter, rows = once()
        (folder / "model").mkdir()
        augmenter.save(folder / "model")
        return augmenter, rows, folder / "model"

    return fit


@pytest.mark.parametrize(("size", "channels"), [(12, 1), (13, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_model_makes_the_images_of_the_fitted_one(tmp_path, fitted, kind, size, channels):
    augmenter, _, folder = fitted(kind, size, channels)
    loaded = type(augmenter).load(augmenter.section, augmenter.spec, folder)
    samples, again = (source.sample(LABELS, job_in(tmp_path / str(id(source)))) for source in (augmenter, loaded))
    assert (samples.images.dtype, samples.images.shape) == (np.uint8, (7, *augmenter.spec.shape))
    np.testing.assert_array_equal(samples.images, again.images)
    np.testing.assert_array_equal(samples.labels, LABELS)
    parameters = loaded.parameters()
    assert parameters.items() <= augmenter.parameters().items()
    assert all(number > 0 for number in parameters.values())
    assert bool(parameters) == (kind in LOGGED)


@pytest.mark.parametrize("kind", KINDS)
def test_images_do_not_depend_on_the_batch_size_nor_on_how_many_follow(tmp_path, fitted, kind):
    augmenter, _, folder = fitted(kind)
    one_by_one = augmenter.section.model_copy(update={"sample_batch_size": 1})
    other = type(augmenter).load(one_by_one, augmenter.spec, folder)
    many = augmenter.sample(LABELS, job_in(tmp_path / "many")).images.astype(int)
    few = other.sample(LABELS[:3], job_in(tmp_path / "few")).images
    # Another batch size rounds differently in the last bits of float32; one grey level is what that can flip.
    assert np.abs(many[:3] - few).max() <= 1
    assert len({image.tobytes() for image in many}) == 7
    assert not np.array_equal(many, augmenter.sample(LABELS, job_in(tmp_path / "seed", seed=2)).images)


@pytest.mark.parametrize("kind", LOGGED)
def test_the_log_has_the_losses_and_the_numbers_on_fixed_validation_images(fitted, kind):
    _, rows, _ = fitted(kind)
    component, columns = LOGGED[kind]
    assert [(row["component"], row["step"], row["images_seen"]) for row in rows] == [
        (component, 3, 24),
        (component, 6, 48),
    ]
    assert all(set(row) == {"component", "step", "images_seen", "loss"} | columns for row in rows)


@pytest.mark.parametrize("step", [2, 5])  # of a first stage in its warm-up, and after it
@pytest.mark.parametrize("kind", LOGGED)
def test_interrupted_and_resumed_the_model_is_bit_identical(fitted, kind, step):
    (_, rows, whole), (_, rows_of_resumed, resumed) = fitted(kind), fitted(kind, stopped=step)
    assert rows_of_resumed == rows
    assert sha256_of_folder(resumed) == sha256_of_folder(whole)
