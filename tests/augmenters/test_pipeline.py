"""MedIENet trained for a few seconds: it must make images of the class it is told, and its saved folder must too."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from medbench import MedIENetPipeline
from medbench.augmenters.base import ImageSpec
from medbench.augmenters.decoder_sections import Autoencoder
from medbench.augmenters.diffusion_sections import LDM, MedIENet
from medbench.augmenters.first_stage import AutoencoderAugmenter
from medbench.augmenters.latent_diffusion import LDMAugmenter, MedIENetAugmenter
from medbench.core.errors import UserError
from medbench.data.dataset import Split
from tests.helpers.jobs import job_in

SIZE, CLASSES = 8, ("upper", "lower")
LABELS = np.arange(100) % 2
TRAINING = {"learning_rate": 4e-3, "batch_size": 32, "log_every": 1000, "checkpoint_every": 10000, "probe_images": 20}
FIRST_STAGE = {"kind": "autoencoder", "widths": (8, 16), "layers_per_stage": 1, "discriminator_weight": 0, **TRAINING}
DENOISER = {"layers_per_stage": 1, "context_dim": 16, "first_stage": "ae", "ema_decay": 0.98, "dropout": 0, **TRAINING}
QUICK = {"prediction": "v", "schedule": "cosine", "sample_steps": 10, "sample_batch_size": 100}


def phantoms(seed: int, n: int = 200, size: int = SIZE) -> Split:
    """Noise on a triangle that is brighter than its other half in one class, and darker in the other."""
    rng, labels = np.random.RandomState(seed), np.arange(n) % 2
    triangle = np.where(np.add.outer(np.arange(size), np.arange(size)) < size - 1, 60, -60)
    strength = (2 * labels - 1)[:, None, None] * rng.uniform(0.5, 1, (n, 1, 1))
    images = (rng.randint(0, 60, (n, size, size)) + 90 + strength * triangle).clip(0, 255)
    return Split(images.astype(np.uint8), labels, np.arange(n))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The augmenter, its saved folder, and a classifier that was trained on real images."""
    folder, train, val = tmp_path_factory.mktemp("pipeline"), phantoms(0), phantoms(1, 40)
    spec = ImageSpec(1, (SIZE, SIZE), CLASSES, False)
    first = AutoencoderAugmenter(Autoencoder(**FIRST_STAGE, steps=60), spec)
    first.fit(train, val, job_in(folder / "first_checkpoints", 0))
    (folder / "first").mkdir()
    first.save(folder / "first")
    section = MedIENet(kind="medienet", widths=(16,), heads=2, tokens_per_class=2, steps=100, **DENOISER, **QUICK)
    augmenter = MedIENetAugmenter(section, spec)
    augmenter.fit(train, val, job_in(folder / "checkpoints", 0, first_stage=folder / "first"))
    augmenter.save(folder / "model")
    classifier = LogisticRegression(max_iter=2000).fit(flat(train.images), train.labels)
    return SimpleNamespace(augmenter=augmenter, folder=folder / "model", classifier=classifier, first=folder / "first")


def flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) / 255


def sampled(trained, tmp_path, labels=LABELS, seed=0, **settings) -> np.ndarray:
    augmenter = MedIENetAugmenter.load(
        trained.augmenter.section.model_copy(update=settings), trained.augmenter.spec, trained.folder
    )
    return augmenter.sample(labels, job_in(tmp_path / str(len(list(tmp_path.iterdir()))), seed)).images


def accuracy(trained, images: np.ndarray, labels: np.ndarray = LABELS) -> float:
    return float(trained.classifier.score(flat(images), labels))


# What the class condition must do -------------------------------------------------------------------------------


def test_a_classifier_of_real_images_tells_the_classes_of_generated_ones(trained, tmp_path):
    test = phantoms(2)
    assert accuracy(trained, test.images, test.labels) > 0.98
    # 1.00 was seen for every seed tried; with predicted noise and a linear schedule 0.78 after 200 steps.
    assert accuracy(trained, sampled(trained, tmp_path, guidance_scale=2.0)) > 0.9
    assert accuracy(trained, sampled(trained, tmp_path, guidance_scale=1.0)) > 0.9


def test_with_the_null_class_it_cannot(trained, tmp_path):
    images = sampled(trained, tmp_path, guidance_scale=0.0)
    np.testing.assert_array_equal(images, sampled(trained, tmp_path, 1 - LABELS, guidance_scale=0.0))
    # So the mean over both ways to label them is 1/2; of 100 images 0.39 to 0.60 was seen.
    assert 0.3 < accuracy(trained, images) < 0.7


# The saved folder -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pipeline(trained):
    return MedIENetPipeline.from_pretrained(trained.folder)


def arrays(output) -> np.ndarray:
    return np.stack([np.asarray(image) for image in output.images])


@pytest.mark.parametrize("settings", [{}, {"guidance_scale": 0.5}, {"steps": 3}, {"guidance_scale": 1.0, "steps": 2}])
def test_the_pipeline_makes_what_the_augmenter_makes(trained, pipeline, tmp_path, settings):
    wanted = {{"steps": "sample_steps"}.get(key, key): value for key, value in settings.items()}
    expected = sampled(trained, tmp_path, np.full(4, 1), seed=7, **wanted)
    np.testing.assert_array_equal(arrays(pipeline("lower", n=4, seed=7, **settings)), expected)


def test_a_class_has_a_name_and_a_number(pipeline):
    by_name, by_number = (arrays(pipeline(label, n=3)) for label in ("lower", 1))
    np.testing.assert_array_equal(by_name, by_number)
    assert not np.array_equal(by_name, arrays(pipeline("upper", n=3)))


def test_seeds_differ_and_a_prefix_is_a_prefix(pipeline):
    three, two, other = (arrays(pipeline(0, n=n, seed=seed)).astype(int) for n, seed in ((3, 0), (2, 0), (3, 1)))
    assert np.abs(three[:2] - two).max() <= 1  # another batch size rounds differently in the last bits
    assert not (three == other).all(axis=(1, 2)).any()


@pytest.mark.parametrize("label", ["left", 2, -1])
def test_a_class_that_it_does_not_know_is_refused(pipeline, label):
    with pytest.raises(UserError, match=rf"^label {label!r} is no class of this model \(its classes: upper, lower\)$"):
        pipeline(label)


def test_what_is_saved_is_a_folder_of_diffusers(trained):
    files = {str(path.relative_to(trained.folder)) for path in trained.folder.rglob("*") if path.is_file()}
    weights = {f"{part}/diffusion_pytorch_model.safetensors" for part in ("unet", "vae")}
    assert files == weights | {
        *("model_index.json", "unet/config.json", "vae/config.json", "scheduler/scheduler_config.json")
    }


def test_a_pipeline_knows_the_settings_that_it_was_saved_with(trained, pipeline):
    config, section = pipeline.config, trained.augmenter.section
    assert (config.guidance_scale, config.steps) == (section.guidance_scale, section.sample_steps)
    assert (tuple(config.classes), tuple(config.image_size), config.channels) == (CLASSES, (SIZE, SIZE), 1)
    assert type(pipeline.scheduler).__name__ == "DDIMScheduler"
    assert pipeline.scheduler.config.prediction_type == "v_prediction"


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_images_have_the_size_and_channels_of_the_dataset(tmp_path, channels, mode):
    rng, size = np.random.RandomState(0), (10, 6)
    images = rng.randint(0, 256, (8, *size) if channels == 1 else (8, *size, 3)).astype(np.uint8)
    split, spec = Split(images, np.arange(8) % 2, np.arange(8)), ImageSpec(channels, size, CLASSES, False)
    first = AutoencoderAugmenter(Autoencoder(**FIRST_STAGE, steps=1), spec)
    first.fit(split, split, job_in(tmp_path / "a"))
    first.save(tmp_path / "first")
    section = MedIENet(kind="medienet", widths=(16, 16), heads=2, steps=1, **{**DENOISER, **QUICK})
    augmenter = MedIENetAugmenter(section, spec)
    augmenter.fit(split, split, job_in(tmp_path / "b", first_stage=tmp_path / "first"))
    augmenter.save(tmp_path / "model")
    pictures = MedIENetPipeline.from_pretrained(tmp_path / "model")("upper", n=2, steps=2).images
    assert [(image.mode, image.size) for image in pictures] == [(mode, (6, 10))] * 2


# The plain latent diffusion model -------------------------------------------------------------------------------


def test_a_plain_latent_model_on_the_same_first_stage_knows_its_classes_too(trained, tmp_path):
    section = LDM(kind="ldm", widths=(16,), heads=2, tokens_per_class=2, steps=100, **DENOISER, **QUICK)
    augmenter = LDMAugmenter(section, trained.augmenter.spec)
    augmenter.fit(phantoms(0), phantoms(1, 40), job_in(tmp_path / "checkpoints", 0, first_stage=trained.first))
    assert accuracy(trained, augmenter.sample(LABELS, job_in(tmp_path / "sampling", 0)).images) > 0.9
