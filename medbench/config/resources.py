"""Host memory that jobs ask for, in MB: a little above what `benchmarks/memory.py` measures of them.

On a CPU a job's memory is mostly what a step of training holds for its backward pass, or a batch of sampling on its way
through the network: both grow with the batch and the image. On a GPU that lies in the GPU's own memory, and the host
holds CUDA's libraries instead.
"""

from medbench.augmenters.sections import AugmenterSection, Held, TrainedSection
from medbench.config.study import Config
from medbench.data.sections import DatasetSection, MedMnistDataset, NiftiDataset

ROOM = 1.2
PAGES = 1000  # tables, figures, report: 175 to 215 of a small study
DISTANCES = 1500  # between features: 75 of a few images; of 5,000 at 2,048 dimensions in double precision, twice
FILES = 500  # images decoded one by one: 5,856 X-rays of full size took 178
VOLUME = 1300  # of NIfTI, one at a time: 512 × 512 × 400 took 1,301, libraries included
IMAGES = 700  # numpy, torch and the images of an augmenter that computes nothing
LIBRARIES = 1100  # torch and diffusers
CHECKS = 900  # Inception and the images by which checkpoints are compared
ON_GPU = {"train": 2300, "sample": 1900, "features": 1400, "utility": 2350}  # with CUDA's libraries, on H100 and H200
FEATURES = 38  # of an image: Inception sees one size, whatever the images' is
UTILITY = Held(37, network=520)  # ResNet50 at half the image's side and 64 channels in its first stage
UNKNOWN_SIDE = 64  # of an npz that states no image_size
UNKNOWN_WIDTH = 64  # of a plug-in's network


def dataset(config: Config, name: str) -> int:
    """What preparing or auditing takes: an npz is read whole, image files one by one."""
    section = config.datasets[name]
    return round(ROOM * (FILES + VOLUME * isinstance(section, NiftiDataset) + 2.2 * _stored(section)))


def train(config: Config, name: str, augmenter: str) -> int:
    """Of all processes that train together."""
    section = config.augmenters[augmenter]
    side, stored = _side(config.datasets[name]), _stored(config.datasets[name])
    if not section.COMPUTES:
        return round(ROOM * (IMAGES + stored))
    if section.space == "latents":
        side >>= len(getattr(_first_stage(config, section), "widths", (1,))) - 1
    batch, gpus = (section.batch_size, section.gpu) if isinstance(section, TrainedSection) else (0, 1)
    held = _megabytes(section.training_memory, batch * side**2, _width(section, side))
    more = stored + (CHECKS if section.reads_inception else 0)
    return _by_device(config, LIBRARIES + held + more, gpus * (ON_GPU["train"] + more))


def sample(config: Config, name: str, augmenter: str) -> int:
    section = config.augmenters[augmenter]
    if not section.COMPUTES:
        return round(ROOM * IMAGES)
    side = _side(config.datasets[name])
    decoder = _first_stage(config, section)
    held = _megabytes(section.sampling_memory, section.sample_batch_size * side**2, _width(decoder, side))
    return _by_device(config, LIBRARIES + held, ON_GPU["sample"])


def features(config: Config) -> int:
    return _by_device(config, LIBRARIES + FEATURES * config.fidelity.batch_size, ON_GPU["features"])


def utility(config: Config, name: str) -> int:
    section, stored = config.utility, _stored(config.datasets[name])
    held = _megabytes(UTILITY, section.batch_size * (section.image_size // 2) ** 2, 64)
    return _by_device(config, LIBRARIES + held + stored, ON_GPU["utility"] + stored)


def _by_device(config: Config, on_cpu: float, on_gpu: float) -> int:
    """With room; where the config leaves the device open, the job must fit either way."""
    asked = {"cpu": on_cpu, "cuda": on_gpu, "auto": max(on_cpu, on_gpu)}[config.device]
    return round(ROOM * asked)


def _megabytes(held: Held, pixels: int, width: int) -> float:
    """For so many pixels of all images of a batch."""
    return held.network + 4 * pixels * (held.channel * width + held.pixel) / 1e6


def _first_stage(config: Config, section: AugmenterSection) -> AugmenterSection:
    """The entry that turns what the augmenter's network sees into pixels: itself in pixel space."""
    return config.augmenters[section.reads_model] if section.reads_model else section


def _width(section: AugmenterSection, side: int) -> int:
    """Channels at full resolution; a width that is left open is the side of the images, as in the walk-through."""
    widths: tuple[int | None, ...] = getattr(section, "widths", (getattr(section, "width", UNKNOWN_WIDTH),))
    return widths[0] or side


def _side(section: DatasetSection) -> int:
    size = section.size if isinstance(section, MedMnistDataset) else UNKNOWN_SIDE
    return section.image_size or size


def _stored(section: DatasetSection) -> float:
    """MB of a published npz's pixels; of others, which are kept at their final size, nothing to speak of."""
    facts = section.facts
    if not isinstance(section, MedMnistDataset) or facts is None:
        return 0
    return sum(facts.totals.values()) * section.size**2 * facts.channels / 1e6
