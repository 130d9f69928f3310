"""What a config asks for: the models a run needs, and the section that each stage gets as canonical JSON."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from medbench.audit.sections import AuditStage, NeighboursStage
from medbench.augmenters.schedules import last_signal
from medbench.augmenters.sections import AugmenterSection, DiffusionSection
from medbench.augmenters.stage_sections import SampleStage, TrainStage
from medbench.config.page_sections import PageStage, ReportStage
from medbench.config.study import Config, Study, reached
from medbench.core.arms import Arm
from medbench.core.sections import Stage, WeightsFile
from medbench.data.sections import PrepareStage
from medbench.fidelity.sections import FeaturesStage, FidelityStage
from medbench.utility.sections import ClassifierSection, UtilityStage

# Largest √ᾱ at the end of a noise schedule that counts as noise. Sampling starts from pure noise: what is left of the
# image there is missed, and with it the brightness, the more so the larger the image.
LARGEST_SIGNAL = 0.05


@dataclass(frozen=True)
class Model:
    """One trained generator of a run."""

    dataset: str
    augmenter: str
    seed: int

    @property
    def path(self) -> str:
        return f"{self.dataset}/{self.augmenter}/seed{self.seed}"


@dataclass(frozen=True)
class ClassifierRun:
    """One arm's classifiers, trained with every classifier seed."""

    dataset: str
    budget: str
    arm: str
    seed: int | None  # of the generator, None where there is none

    @property
    def origin(self) -> str:
        return "real" if self.seed is None else f"seed{self.seed}"

    @property
    def path(self) -> str:
        return f"{self.dataset}/{self.budget}/{self.arm}/{self.origin}"


def image_augmenters(config: Config, study: Study) -> list[str]:
    """The study's augmenters that make images, and the first stages that they use, in its own order."""
    making = [name for name in study.augmenters if config.augmenters[name].MAKES_IMAGES]
    return list(dict.fromkeys([*making, *(needed for name in making if (needed := first_stage_of(config, name)))]))


def first_stage_of(config: Config, augmenter: str) -> str | None:
    """The entry whose model must be there before this one's is trained."""
    return config.augmenters[augmenter].reads_model


def trained_as(config: Config, augmenter: str) -> str:
    """The entry whose model an augmenter samples: itself, unless it names another."""
    return config.augmenters[augmenter].model or augmenter


def models(config: Config, study: str) -> list[Model]:
    """Every source of images that a study needs, in its own order."""
    wanted = config.studies[study]
    return [
        Model(dataset, augmenter, seed)
        for dataset in wanted.datasets
        for augmenter in image_augmenters(config, wanted)
        for seed in wanted.generator_seeds
    ]


def makes_images(config: Config, arm: Arm) -> bool:
    """Whether an arm needs generated images, as one that mixes on the fly or repeats real ones does not."""
    return arm.augmenter is not None and config.augmenters[arm.augmenter].MAKES_IMAGES


def classifier_runs(config: Config, study: str) -> list[ClassifierRun]:
    """Every job of the utility stage that a study needs, in its own order, none twice."""
    wanted = config.studies[study]
    runs = [
        ClassifierRun(dataset, arm.trained_under(budget), arm.name, seed)
        for dataset in wanted.datasets
        for budget in wanted.budgets
        for arm in map(Arm.parse, wanted.arms)
        for seed in (wanted.generator_seeds if makes_images(config, arm) else [None])
    ]
    return list(dict.fromkeys(runs))


def gpus(config: Config, augmenter: str | None = None) -> int:
    """GPUs that a job computes on: one; none where `device` is cpu, or the job's augmenter computes nothing."""
    computes = augmenter is None or config.augmenters[augmenter].COMPUTES
    return 1 if computes and config.device != "cpu" else 0


def training_gpus(config: Config, augmenter: str) -> int:
    """As many as the augmenter's section asks for."""
    return gpus(config, augmenter) * getattr(config.augmenters[augmenter], "gpu", 1)


def warnings(config: Config) -> list[str]:
    """What a run may do, and whose numbers would mislead: one line each.

    A study of Cao et al. keeps the walk-through's schedule, and its table says what that costs.
    """
    names = dict.fromkeys(
        name
        for study in reached(config).values()
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
    arms = [Arm.parse(name) for study in reached(config).values() for name in study.arms]
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
    studies = [config.studies[name] for name in config.run]
    measured = [study for study in studies if image_augmenters(config, study)] if _deep(config) else []
    return list(dict.fromkeys(name for study in measured for name in study.datasets))


def _deep(config: Config) -> list[Literal[768, 2048]]:
    """Dimensions deep enough, and none where the weights are random."""
    named = config.fidelity.dimensions if isinstance(config.fidelity.weights, WeightsFile) else ()
    return [dimension for dimension in named if dimension in (768, 2048)]


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


def report_section(config: Config, study: str) -> ReportStage:
    wanted = config.studies[study]
    making = image_augmenters(config, wanted)
    firsts = {name: first for name in making if (first := first_stage_of(config, name))}
    return ReportStage(
        study=study,
        datasets=wanted.datasets,
        augmenters=making,
        sections={name: _without_places(config.augmenters[name]) for name in making},
        first_stages=firsts,
        models={name: trained_as(config, name) for name in making if config.augmenters[name].model},
        ceilings=[name for name in making if config.augmenters[name].CEILING],
        protocols=protocol_pairs(config, wanted),
        ablation=wanted.ablation,
        sampling=wanted.sampling,
        seeds=wanted.generator_seeds,
        arms=wanted.arms,
        budgets=wanted.budgets,
        classifier_seeds=config.utility.classifier_seeds if wanted.arms else [],
        papers=wanted.paper,
        seed=config.seed,
        palette=_palette(config, wanted),
        expected=_expected(config, study),
    )


def protocol_pairs(config: Config, study: Study) -> list[tuple[str, str]]:
    """Datasets of a study that differ in their protocol alone: (as published, under another), in the study's order."""
    sections = {name: config.datasets[name].model_dump(exclude={"protocol", "title"}) for name in study.datasets}
    protocol = {name: config.datasets[name].protocol for name in study.datasets}
    return [
        (published, other)
        for published in study.datasets
        for other in study.datasets
        if protocol[published] == "as_published" != protocol[other] and sections[published] == sections[other]
    ]


def _without_places(section: AugmenterSection) -> dict[str, Any]:
    """A section as JSON, without where files lie on this machine."""
    return section.model_dump(mode="json", exclude={"path", "weights"})


def _palette(config: Config, study: Study) -> list[str]:
    """Augmenters of all studies in `run`, then what `study` adds: lists keep their order in every form of a config."""
    studies = (*reached(config).values(), study)
    return list(dict.fromkeys(name for own in studies for name in [*own.augmenters, *image_augmenters(config, own)]))


def page_section(config: Config, written: Config) -> PageStage:
    """`written` is the config with environment variables as they stand, which the page shows."""
    studies = [report_section(config, study) for study in config.run]
    return PageStage(
        name=config.name,
        studies=studies,
        neighbours=neighbours_of_run(config),
        config=_reached_part(written),
    )


def _reached_part(config: Config) -> dict[str, Any]:
    """The config without definitions that nothing in `run` reaches."""
    part, studies = config.model_dump(mode="json"), reached(config)
    listed = [*dict.fromkeys(name for study in studies.values() for name in study.augmenters)]
    needed = [first for name in listed if (first := first_stage_of(config, name))]
    used = {
        "datasets": {name for study in studies.values() for name in study.datasets},
        "augmenters": {*listed, *needed, *(trained_as(config, name) for name in listed)},
    }
    for key, names in (used | {"studies": set(studies)}).items():
        part[key] = {name: section for name, section in part[key].items() if name in names}
    return part


def _expected(config: Config, study: str) -> dict[str, str]:
    """File under the run folder -> Stage.made_with() of its stage, for all that a study's pages are made of.

    The files are many, and few sections stand behind them: each is made and hashed once.
    """
    trained = cache(lambda augmenter: train_section(config, augmenter).made_with())
    sampled = cache(lambda augmenter: sample_section(config, augmenter).made_with())
    compared = cache(lambda dataset, augmenter: fidelity_section(config, dataset, augmenter).made_with())
    classified = cache(lambda dataset, budget, arm: utility_section(config, dataset, budget, arm).made_with())
    features = features_section(config, generated=True).made_with()
    names = config.studies[study].datasets
    expected = {f"datasets/{name}.json": audit_section(config, name).made_with() for name in names}
    for model in models(config, study):
        own = trained_as(config, model.augmenter)
        expected[f"models/{Model(model.dataset, own, model.seed).path}/medbench.json"] = trained(own)
        expected[f"samples/{model.path}.npz"] = sampled(model.augmenter)
        expected[f"features/{model.path}.safetensors"] = features
        expected[f"fidelity/{model.path}.json"] = compared(model.dataset, model.augmenter)
    for run in classifier_runs(config, study):
        expected[f"utility/{run.path}.json"] = classified(run.dataset, run.budget, run.arm)
    return expected


def _runtime(config: Config) -> dict[str, Any]:
    return {key: getattr(config, key) for key in ("torch_threads", "precision", "deterministic")}


def partial_pages(config: Config, written: Config) -> dict[str, Stage]:
    """`<verb>/<study>` or report -> the section of each page that is put together of what is there."""
    pages: dict[str, Stage] = {
        f"{verb}/{study}": report_section(config, study) for study in config.run for verb in ("tables", "figures")
    }
    return pages | {"report": page_section(config, written)}


def partial_folder(config: Config) -> str:
    return f"results/{config.name}/partial"
