"""How to make a run again: the commands, the files that must be there, the config as it was."""

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from medbench.config import Config, FolderDataset, NpzDataset, WeightsFile, reached
from medbench.data.dataset import Card
from medbench.report.page.generator_choices import augmenters_of
from medbench.report.page.provenance import Checkout


@dataclass(frozen=True)
class NeededFile:
    what: str
    where: str  # a path, or a URL that a rule fetches from
    sha256: str | None


def commands(name: str, code: Checkout | None) -> str:
    """Lines for a shell; `name` is the run's."""
    checkout = [f"git checkout {code.commit}"] if code else []
    lines = [*checkout, "make install", f".venv/bin/snakemake --cores 2 --configfile {name}.yaml"]
    return "\n".join(lines)


def needed_files(config: Config, cards: Mapping[str, Card]) -> list[NeededFile]:
    """What the listed studies read that medbench does not make; a folder of images has no hash."""
    files = []
    for name in dict.fromkeys(name for study in reached(config).values() for name in study.datasets):
        section = config.datasets[name]
        if isinstance(section, NpzDataset | FolderDataset):
            known = cards[name].source_sha256 if name in cards else None
            files.append(NeededFile(f"dataset {name}", section.path, known))
        if isinstance(section, FolderDataset) and section.table:
            files.append(NeededFile(f"table of dataset {name}", section.table, None))
    return [*files, *_of_augmenters(config), *_weights(config)]


def _of_augmenters(config: Config) -> list[NeededFile]:
    """Published weights, and ready images, of which a folder has no hash."""
    files = []
    for name, section in augmenters_of(config).items():
        given = section.reads_file
        if isinstance(given, WeightsFile):
            files.append(NeededFile(f"weights of {name}", str(given.path or given.address), given.sha256))
        elif given:
            files.append(NeededFile(f"images of {name}", given, None))
    return files


def _weights(config: Config) -> list[NeededFile]:
    studies = reached(config).values()
    inception, classifier = config.fidelity.weights, config.utility.weights
    files = []
    if isinstance(inception, WeightsFile) and any(study.augmenters for study in studies):
        files.append(("Inception weights", inception))
    if classifier and config.utility.init == "imagenet" and any(study.arms for study in studies):
        files.append(("classifier's ImageNet weights", classifier))
    return [NeededFile(what, str(file.path or file.address), file.sha256) for what, file in files]


def config_yaml(config: Config) -> str:
    """The whole config, defaults included; given back to `--configfile`, it is this config again."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)
