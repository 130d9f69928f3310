"""What a config asks for: the models a run needs, and the section that each stage gets as canonical JSON."""

from typing import Any, Literal, NamedTuple

from medbench.audit.sections import AuditStage, NeighboursStage
from medbench.augmenters.diffusion_sections import DiffusionSection
from medbench.augmenters.schedules import last_signal
from medbench.augmenters.stage_sections import SampleStage, TrainStage
from medbench.config.study import Config, Study
from medbench.core.arms import Arm
from medbench.core.sections import WeightsFile
from medbench.data.sections import PrepareStage
from medbench.fidelity.sections import FeaturesStage, FidelityStage
from medbench.utility.sections import ClassifierSection, UtilityStage

# Largest √ᾱ at the end of a noise schedule that counts as noise. Sampling starts from pure noise: what is left of the
# image there is missed, and with it the brightness, the more so the larger the image.
LARGEST_SIGNAL = 0.05


Model = tuple[str, str, str]  # dataset, augmenter, seed


class Generator(NamedTuple):
    """One trained generator of a run."""

    dataset: str
    augmenter: str
    seed: int


class ClassifierRun(NamedTuple):
    """One arm's classifiers, trained with every classifier seed."""

    dataset: str
    budget: str
    arm: str
    origin: str  # seed<n> of the generator; real: there is none


def image_augmenters(config: Config, study: Study) -> list[str]:
    """The study's augmenters that make images, and the first stages that they use, in its own order."""
    names = [name for name in study.augmenters if config.augmenters[name].role != "on_the_fly"]
    first_stages = [first for name in names if (first := first_stage_of(config, name))]
    return list(dict.fromkeys([*names, *first_stages]))


def first_stage_of(config: Config, augmenter: str) -> str | None:
    """The entry whose model must be there before this one's is trained."""
    return config.augmenters[augmenter].reads_model


def trained_as(config: Config, augmenter: str) -> str:
    """The entry whose model an augmenter samples: itself, unless it names another."""
    return config.augmenters[augmenter].model or augmenter


def models(config: Config, study: str) -> list[Generator]:
    """Every source of images that a study needs, in its own order."""
    section = config.studies[study]
    return [
        Generator(dataset, augmenter, seed)
        for dataset in section.datasets
        for augmenter in image_augmenters(config, section)
        for seed in section.generator_seeds
    ]


def sampled_model(config: Config, dataset: str, augmenter: str, seed: str) -> list[Model]:
    """The model that an augmenter samples."""
    return [(dataset, trained_as(config, augmenter), seed)]


def first_stage(config: Config, dataset: str, augmenter: str, seed: str) -> list[Model]:
    """The model that must be there before an augmenter is trained: none or one."""
    first = first_stage_of(config, augmenter)
    return [(dataset, first, seed)] if first else []


def arm_samples(config: Config, dataset: str, arm: str, origin: str) -> list[Model]:
    """The generated images that an arm needs: none or one."""
    parsed = Arm.parse(arm)
    needs = parsed.augmenter if makes_images(config, parsed) else None
    return [(dataset, needs, origin.removeprefix("seed"))] if needs else []


def makes_images(config: Config, arm: Arm) -> bool:
    """Whether an arm needs generated images, as one that mixes on the fly or repeats real ones does not."""
    return arm.augmenter is not None and config.augmenters[arm.augmenter].role != "on_the_fly"


def classifier_runs(config: Config, study: str) -> list[ClassifierRun]:
    """Every job of the utility stage that a study needs, in its own order, none twice."""
    section = config.studies[study]
    runs = [
        ClassifierRun(dataset, arm.trained_under(budget), arm.name, origin)
        for dataset in section.datasets
        for budget in section.budgets
        for arm in map(Arm.parse, section.arms)
        for origin in ([f"seed{seed}" for seed in section.generator_seeds] if makes_images(config, arm) else ["real"])
    ]
    return list(dict.fromkeys(runs))


def gpus(config: Config, augmenter: str | None = None) -> int:
    """GPUs that a job computes on: one; none where `device` is cpu, or the job's augmenter computes nothing."""
    computes = augmenter is None or config.augmenters[augmenter].COMPUTES
    return 1 if computes and config.device != "cpu" else 0


def training_gpus(config: Config, augmenter: str) -> int:
    """As many as the augmenter's section asks for."""
    return gpus(config, augmenter) * getattr(config.augmenters[augmenter], "gpu", 1)


def training_threads(config: Config, augmenter: str) -> int:
    """Of all processes that train together, one a GPU."""
    return config.torch_threads * max(1, training_gpus(config, augmenter))


def warnings(config: Config) -> list[str]:
    """What a run may do although its numbers would mislead, one line per warning.

    A study of Cao et al. keeps the walk-through's schedule, and its table says what that costs.
    """
    names = dict.fromkeys(
        name
        for study in config.reached.values()
        for name in image_augmenters(config, study)
        if config.augmenters[name].labelled or "cao2025" not in study.paper
    )
    return [
        f"augmenters.{name}: schedule {section.schedule} with {section.timesteps} timesteps ends with"
        f" {signal:.2f} of the image left (√ᾱ, at most {LARGEST_SIGNAL:g} wanted): samples miss the brightness of the"
        " data; give timesteps: 1000"
        for name in names
        if isinstance(section := config.augmenters[name], DiffusionSection)
        and (signal := last_signal(section.schedule, section.timesteps)) > LARGEST_SIGNAL
    ]


# The sections ---------------------------------------------------------------------------------------------------


def prepare_section(config: Config, dataset: str) -> PrepareStage:
    return PrepareStage(name=dataset, dataset=config.datasets[dataset], seed=config.seed)


def audit_section(config: Config, dataset: str) -> AuditStage:
    return AuditStage(name=dataset, dataset=config.datasets[dataset], seed=config.seed)


def train_section(config: Config, augmenter: str) -> TrainStage:
    section, weights = config.augmenters[augmenter], config.fidelity.weights
    return TrainStage(
        name=augmenter,
        augmenter=section,
        inception_sha256=weights.sha256 if section.reads_inception and isinstance(weights, WeightsFile) else None,
        seed=config.seed,
        **_runtime(config),
    )


def sample_section(config: Config, augmenter: str) -> SampleStage:
    section = config.augmenters[augmenter]
    arms = [Arm.parse(name) for study in config.reached.values() for name in study.arms]
    ratio = max([arm.ratio for arm in arms if arm.augmenter == augmenter], default=0.0)
    n = config.fidelity.n_generated
    return SampleStage(name=augmenter, augmenter=section, n=n, ratio=ratio, seed=config.seed, **_runtime(config))


def features_section(config: Config, generated: bool) -> FeaturesStage:
    fidelity = config.fidelity
    return FeaturesStage(
        # The hash says which file; where it lies changes nothing.
        weights_sha256=fidelity.weights.sha256 if isinstance(fidelity.weights, WeightsFile) else None,
        dimensions=fidelity.dimensions,
        batch_size=fidelity.batch_size,
        first=fidelity.n_generated if generated else None,
        seed=config.seed,
        # FID is defined on float32 features, whatever precision trained the model.
        **_runtime(config) | {"precision": "fp32"},
    )


def neighbours_section(config: Config, dataset: str) -> NeighboursStage:
    """Of the smallest dimension that tells copies from others: at 768 it was looked at."""
    return NeighboursStage(dataset=dataset, dimension=min(_deep(config)), torch_threads=config.torch_threads)


def neighbours_of_run(config: Config) -> list[str]:
    """Datasets whose real images have features that say which of them are alike."""
    measured = [study for study in config.reached.values() if image_augmenters(config, study)] if _deep(config) else []
    return list(dict.fromkeys(name for study in measured for name in study.datasets))


def _deep(config: Config) -> list[Literal[768, 2048]]:
    """Dimensions deep enough, and none where the weights are random."""
    dimensions = config.fidelity.dimensions if isinstance(config.fidelity.weights, WeightsFile) else ()
    return [dimension for dimension in dimensions if dimension in (768, 2048)]


def fidelity_section(config: Config, dataset: str, augmenter: str) -> FidelityStage:
    return FidelityStage(
        dataset=dataset,
        augmenter=augmenter,
        loss=getattr(config.augmenters[augmenter], "loss", None),
        floor_draws=config.fidelity.floor_draws,
        seed=config.seed,
        torch_threads=config.torch_threads,
    )


def utility_section(config: Config, dataset: str, budget: str, arm: str) -> UtilityStage:
    utility, augmenter = config.utility, Arm.parse(arm).augmenter
    section = config.augmenters[augmenter] if augmenter else None
    return UtilityStage(
        dataset=dataset,
        arm=arm,
        budget=budget,
        classifier=ClassifierSection(**utility.model_dump(include=set(ClassifierSection.model_fields))),
        weights_sha256=utility.weights.sha256 if utility.weights and utility.init == "imagenet" else None,
        mixing=section.mixing if section else None,
        classifier_seeds=utility.classifier_seeds,
        seed=config.seed,
        **_runtime(config),
    )


def _runtime(config: Config) -> dict[str, Any]:
    return {key: getattr(config, key) for key in ("torch_threads", "precision", "deterministic")}
