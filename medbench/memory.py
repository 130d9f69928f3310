"""Host memory that jobs ask for, in MB: a little above what `benchmarks/memory.py` measures of them.

On a CPU a training job's memory is mostly what a step holds for its backward pass, which grows with the batch and the
image. On a GPU that lies in the GPU's own memory, and the host holds CUDA's libraries instead.
"""

from medbench.augmenters.sections import AnnotatedDDPM, AugmenterSection, Autoencoder, LatentDiffusion, TrainedSection
from medbench.config import Config
from medbench.data.sections import DatasetSection, MedMnistDataset

ROOM = 1.2
PAGES = 1000  # tables, figures, report: 175 to 215 of a small study
DISTANCES = 1500  # between features: 75 of a few images; of 5,000 at 2,048 dimensions in double precision, twice
LIBRARIES = 1300  # torch, diffusers, the networks, and the images on which what is logged is measured
WITH_CUDA = 4000  # CUDA's libraries on top; not measured
FILES = 500  # images decoded one by one: 5,856 X-rays of full size took 178
UNKNOWN_SIDE = 64  # of an npz that states no image_size
# float32 numbers that a training step holds, for each image, pixel of the first stage of the network, and its channel
UNKNOWN = 130  # of a plug-in's kind
UNKNOWN_WIDTH = 64
HELD = {"annotated_ddpm": 130, "cddpm": 130, "autoencoder": 62, "medienet": 152, "ldm": 564, "cvae": 20, "cgan": 12}
SAMPLING = 12  # the same of a network that learns nothing


def dataset(config: Config, name: str) -> int:
    """What preparing or auditing takes: an npz is read whole, image files one by one."""
    return round(ROOM * (FILES + 2.2 * _stored(config.datasets[name])))


def train(config: Config, name: str, augmenter: str) -> int:
    """Of all processes that train together."""
    section = config.augmenters[augmenter]
    gpus = section.gpu if isinstance(section, TrainedSection) else 1
    batch = section.batch_size if isinstance(section, TrainedSection) else 0
    return _asked(config, name, HELD.get(section.kind, UNKNOWN) * batch * _cells(config, name, section), gpus)


def sample(config: Config, name: str, augmenter: str) -> int:
    section = config.augmenters[augmenter]
    pixels = _side(config.datasets[name]) ** 2
    return _asked(config, name, SAMPLING * section.sample_batch_size * pixels * _width(config, name, section))


def features(config: Config) -> int:
    """Inception sees images of one size, whatever theirs is: 15 MB each, and its weights."""
    return _by_device(config, round(ROOM * (LIBRARIES + 15 * config.fidelity.batch_size)), WITH_CUDA)


def utility(config: Config, name: str) -> int:
    """ResNet50 at half the image's side and 64 channels in its first stage."""
    section = config.utility
    return _asked(config, name, 60 * section.batch_size * (section.image_size // 2) ** 2 * 64)


def _asked(config: Config, name: str, numbers: float, gpus: int = 1) -> int:
    stored = _stored(config.datasets[name])
    on_cpu = round(ROOM * (LIBRARIES + stored + 4 * numbers / 1e6))
    return _by_device(config, on_cpu, round(gpus * (WITH_CUDA + ROOM * stored)))


def _by_device(config: Config, on_cpu: int, on_gpu: int) -> int:
    """Where the config leaves the device open, the job must fit either way."""
    return {"cpu": on_cpu, "cuda": on_gpu, "auto": max(on_cpu, on_gpu)}[config.device]


def _cells(config: Config, name: str, section: AugmenterSection) -> int:
    """Pixels of what the network sees, times the channels of its first stage."""
    side = _side(config.datasets[name])
    if isinstance(section, LatentDiffusion):
        first = config.augmenters[section.first_stage]
        side >>= len(first.widths) - 1 if isinstance(first, Autoencoder) else 2
    return side**2 * _width(config, name, section)


def _width(config: Config, name: str, section: AugmenterSection) -> int:
    """Channels of the first stage of the network; the annotated model's is the side of its images."""
    if isinstance(section, AnnotatedDDPM):
        return section.width or _side(config.datasets[name])
    widths: tuple[int, ...] = getattr(section, "widths", (getattr(section, "width", UNKNOWN_WIDTH),))
    return widths[0]


def _side(section: DatasetSection) -> int:
    size = section.size if isinstance(section, MedMnistDataset) else UNKNOWN_SIDE
    return section.image_size or size


def _stored(section: DatasetSection) -> float:
    """MB of a published npz's pixels; of others, which are kept at their final size, nothing to speak of."""
    facts = section.facts
    if not isinstance(section, MedMnistDataset) or facts is None or facts.totals is None:
        return 0
    return sum(facts.totals.values()) * section.size**2 * facts.channels / 1e6
