"""What tables, figures and the report get of a config: the sections, and how they are cut out."""

from functools import cache
from typing import Any

from medbench.augmenters.sections import AugmenterSection
from medbench.config.plan import (
    audit_section,
    classifier_runs,
    features_section,
    fidelity_section,
    first_stage_of,
    image_augmenters,
    models,
    neighbours_of_run,
    sample_section,
    train_section,
    trained_as,
    utility_section,
)
from medbench.config.study import Config, Study
from medbench.core.arms import ArmName
from medbench.core.sections import Budget, Name, Seed, Stage
from medbench.run import layout


class ReportStage(Stage):
    study: Name
    datasets: list[Name]
    augmenters: list[Name]  # that make images
    sections: dict[Name, dict[str, Any]] = {}  # what the config says of each, without places of files
    first_stages: dict[Name, Name] = {}  # augmenter -> the first stage that it uses
    models: dict[Name, Name] = {}  # augmenter -> the one whose model it samples, where that is another's
    ceilings: list[Name] = []  # first stages: their reconstructions bound what can be generated
    protocols: list[tuple[Name, Name]] = []  # datasets of the same images: as published, and under another protocol
    ablation: Name | None = None
    sampling: Name | None = None
    seeds: list[Seed]
    arms: list[ArmName]
    budgets: list[Budget]
    classifier_seeds: list[Seed]
    papers: list[str]
    seed: Seed  # of the bootstrap
    palette: list[Name]  # augmenters of the whole run: the place of each fixes its look in figures
    expected: dict[str, str]  # file under the run folder -> Stage.made_with() of what it must come from


class PageStage(Stage):
    name: Name
    studies: list[ReportStage]
    neighbours: list[Name] = []  # datasets whose real images are compared in features
    config: dict[str, Any]  # what `run` reaches of it, to be shown; environment variables as they stand


def report_section(config: Config, study: str) -> ReportStage:
    asked = config.studies[study]
    names = image_augmenters(config, asked)
    return ReportStage(
        study=study,
        datasets=asked.datasets,
        augmenters=names,
        sections={name: _without_places(config.augmenters[name]) for name in names},
        first_stages={name: first for name in names if (first := first_stage_of(config, name))},
        models={name: trained_as(config, name) for name in names if config.augmenters[name].model},
        ceilings=[name for name in names if config.augmenters[name].role == "first_stage"],
        protocols=protocol_pairs(config, asked),
        ablation=asked.ablation,
        sampling=asked.sampling,
        seeds=asked.generator_seeds,
        arms=asked.arms,
        budgets=asked.budgets,
        classifier_seeds=config.utility.classifier_seeds if asked.arms else [],
        papers=asked.paper,
        seed=config.seed,
        palette=_palette(config, asked),
        expected=expected(config, study),
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
    studies = [*config.reached.values(), study]
    names = [name for each in studies for name in [*each.augmenters, *image_augmenters(config, each)]]
    return list(dict.fromkeys(names))


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
    part, studies = config.model_dump(mode="json"), config.reached
    listed = {name for study in studies.values() for name in study.augmenters}
    first_stages = {first_stage_of(config, name) for name in listed}
    reached = {
        "datasets": config.reached_datasets,
        "augmenters": listed | first_stages | {trained_as(config, name) for name in listed},
        "studies": studies,
    }
    for key, names in reached.items():
        part[key] = {name: section for name, section in part[key].items() if name in names}
    return part


def expected(config: Config, study: str) -> dict[str, str]:
    """File under the run folder -> Stage.made_with() of its stage, for all that a study's pages are made of.

    The files are many, and few sections stand behind them: each is made and hashed once.
    """
    trained = cache(lambda augmenter: train_section(config, augmenter).made_with())
    sampled = cache(lambda augmenter: sample_section(config, augmenter).made_with())
    compared = cache(lambda dataset, augmenter: fidelity_section(config, dataset, augmenter).made_with())
    classified = cache(lambda dataset, budget, arm: utility_section(config, dataset, budget, arm).made_with())
    features = features_section(config, generated=True).made_with()
    names = config.studies[study].datasets
    wanted = {layout.DATASET.path(name): audit_section(config, name).made_with() for name in names}
    for model in models(config, study):
        name = trained_as(config, model.augmenter)
        wanted[layout.MODEL.path(model.dataset, name, model.seed)] = trained(name)
        wanted[layout.SAMPLES.path(*model)] = sampled(model.augmenter)
        wanted[layout.FEATURES.path(*model)] = features
        wanted[layout.FIDELITY.path(*model)] = compared(model.dataset, model.augmenter)
    for run in classifier_runs(config, study):
        wanted[layout.UTILITY.path(*run)] = classified(run.dataset, run.budget, run.arm)
    return wanted


def partial_pages(config: Config, written: Config) -> dict[str, Stage]:
    """`<verb>/<study>` or report -> the section of each page that is put together of what is there."""
    pages: dict[str, Stage] = {
        f"{verb}/{study}": report_section(config, study) for study in config.run for verb in ("tables", "figures")
    }
    return pages | {"report": page_section(config, written)}


def partial_folder(config: Config) -> str:
    return f"results/{config.name}/partial"
