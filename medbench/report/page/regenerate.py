"""How to make a run again: the commands, the files that must be there, the config as it was."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import yaml

from medbench.config.study import Config
from medbench.core.sections import WeightsFile
from medbench.data.dataset import Card
from medbench.data.published import Remote
from medbench.data.sections import HuggingFaceDataset, ImageFilesDataset, NpzDataset, OwnFilesDataset
from medbench.report.page.generator_choices import augmenters_of
from medbench.report.page.provenance import Checkout


@dataclass(frozen=True)
class NeededFile:
    what: str
    where: str  # a path, or the address that it is downloaded from
    sha256: str | None
    fetched: bool = False  # whether it comes by itself
    listing: bool = False  # whether sha256 is that of a list: each used file's name with its own sha256
    page: str | None = None  # where a person gets it, who must put it at `where`


def commands(name: str, code: Checkout | None) -> str:
    """Lines for a shell; `name` is the run's."""
    checkout = [f"git checkout {code.commit}"] if code else []
    lines = [*checkout, "make install", f".venv/bin/snakemake --cores 2 --configfile {name}.yaml"]
    return "\n".join(lines)


def needed_files(config: Config, cards: Mapping[str, Card]) -> list[NeededFile]:
    """What the listed studies read that medbench does not make, each file once."""
    names = config.reached_datasets
    return [*_own(config, names, cards), *_published(config, names, cards), *_of_augmenters(config), *_weights(config)]


def _own(config: Config, names: Iterable[str], cards: Mapping[str, Card]) -> list[NeededFile]:
    """A user's own datasets."""
    files = []
    for name in names:
        section = config.datasets[name]
        if isinstance(section, NpzDataset | OwnFilesDataset | HuggingFaceDataset):
            place = section.path or f"https://huggingface.co/datasets/{getattr(section, 'name', '')}"
            listing = not isinstance(section, NpzDataset)
            files.append(NeededFile(f"dataset {name}", place, _sha256(cards, [name]), listing=listing))
        if isinstance(section, OwnFilesDataset) and section.table:
            files.append(NeededFile(f"table of dataset {name}", section.table, None))
    return files


def _published(config: Config, names: Iterable[str], cards: Mapping[str, Card]) -> list[NeededFile]:
    """Published datasets, of which several entries may be made."""
    made_of: dict[Remote, list[str]] = {}
    for name in names:
        remote = config.datasets[name].remote
        if remote:
            made_of.setdefault(remote, []).append(name)
    files = []
    for remote, entries in made_of.items():
        what = f"dataset{'s' * (len(entries) > 1)} {', '.join(entries)}"
        where = remote.urls[0] if remote.urls else remote.path.as_posix()
        page = None if remote.urls else remote.page
        listing = isinstance(config.datasets[entries[0]], ImageFilesDataset)
        files.append(NeededFile(what, where, _sha256(cards, entries), bool(remote.urls), listing, page))
    return files


def _sha256(cards: Mapping[str, Card], names: Iterable[str]) -> str | None:
    """Of what was read; None: it is not known, or the entries used different files of one archive."""
    found = {cards[name].source_sha256 for name in names if name in cards}
    return found.pop() if len(found) == 1 else None


def _of_augmenters(config: Config) -> list[NeededFile]:
    """Published weights, and ready images, of which a folder has no hash."""
    files = []
    for name, section in augmenters_of(config).items():
        given = section.reads_file
        if isinstance(given, WeightsFile):
            files.append(_weights_file(f"weights of {name}", given))
        elif given:
            files.append(NeededFile(f"images of {name}", given, None))
    return files


def _weights(config: Config) -> list[NeededFile]:
    studies = config.reached.values()
    inception, classifier = config.fidelity.weights, config.utility.weights
    files = []
    if isinstance(inception, WeightsFile) and any(study.augmenters for study in studies):
        files.append(("Inception weights", inception))
    if classifier and config.utility.init == "imagenet" and any(study.arms for study in studies):
        files.append(("classifier's ImageNet weights", classifier))
    return [_weights_file(what, file) for what, file in files]


def _weights_file(what: str, file: WeightsFile) -> NeededFile:
    return NeededFile(what, str(file.path or file.address), file.sha256, fetched=file.path is None)


def config_yaml(config: Config) -> str:
    """The whole config, defaults included; given back to `--configfile`, it is this config again."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)
