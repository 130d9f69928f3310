"""What the stages that write tables, figures and the report get."""

from typing import Any

from medbench.core.arms import ArmName
from medbench.core.sections import (
    Budget,
    Name,
    Seed,
    Stage,
)


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
