"""Every choice that a run makes where the abstracts of its papers are silent, beside what these say."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from medbench.config.study import Config
from medbench.data.dataset import Card
from medbench.data.sections import (
    ChestCtDataset,
    ChestXrayDataset,
    DatasetSection,
    HuggingFaceDataset,
    MedMnistDataset,
    NpzDataset,
    OwnFilesDataset,
    PhantomDataset,
    TongueDataset,
)
from medbench.report.audits import PROTOCOLS
from medbench.report.conditions import AS_PUBLISHED
from medbench.report.published import Paper

NOT_IN_ABSTRACT = "Not in the abstract."
Cards = Mapping[str, Card]  # of the datasets that are there


@dataclass(frozen=True)
class Choice:
    topic: str
    abstract: str  # what the paper's abstract says
    here: str  # what this run does


@dataclass(frozen=True)
class Choices:
    title: str
    paper: Paper
    rows: list[Choice]


def each(names: Iterable[str], said: Callable[[str], str]) -> str:
    """What is said of every name, once where it is the same for all.

    >>> each(["a", "b", "c"], {"a": "1", "b": "2", "c": "1"}.__getitem__)
    'a, c: 1; b: 2'
    """
    by_text: dict[str, list[str]] = {}
    for name in names:
        by_text.setdefault(said(name), []).append(name)
    if len(by_text) == 1:
        return next(iter(by_text))
    return "; ".join(f"{', '.join(of)}: {text}" for text, of in by_text.items())


def datasets_of(config: Config, has: str) -> list[str]:
    """The datasets of all listed studies with `has`: augmenters or arms."""
    return list(
        dict.fromkeys(name for study in config.reached.values() if getattr(study, has) for name in study.datasets)
    )


def titles(names: Iterable[str], cards: Cards) -> str:
    return "; ".join(f"{name} ({cards[name].title})" if name in cards else name for name in names)


def image_sizes(names: Iterable[str], cards: Cards) -> str:
    return each(names, lambda name: _size(cards[name]) if name in cards else "not known, its card is missing")


def _size(card: Card) -> str:
    return f"{card.image_size[0]}×{card.image_size[1]}, {'gray' if card.channels == 1 else 'colour'}"


def splits(config: Config, names: Iterable[str]) -> str:
    return each(names, lambda name: _split(config, name))


def _split(config: Config, name: str) -> str:
    match config.datasets[name]:
        case PhantomDataset() as section:
            said = f"{section.train} / {section.val} / {section.test} images a class drawn for train / val / test"
        case NpzDataset() as section:
            said = "train, val and test as in the file"
        case MedMnistDataset() | ChestCtDataset() as section:
            said = "train, val and test as published"
        case ChestXrayDataset() as section:
            said = (
                "train and test as published; a published val joins train, and of that"
                f" {section.val_fraction:g}, whole patients by seed, is held out as val"
            )
        case OwnFilesDataset() | HuggingFaceDataset() | TongueDataset() as section:
            said = (
                "as its folders or table say; where they say nothing, by seed and stratified, no known patient in"
                f" two splits, {section.val_fraction:g} of the images for val, {section.test_fraction:g} for test"
            )
    return "; ".join([said, *_after(section)])


def _after(section: DatasetSection) -> list[str]:
    """What becomes of the splits before anything is trained."""
    protocol, fraction = section.protocol, section.train_fraction
    sentences = [f"then {protocol}: {PROTOCOLS[protocol]}"] if protocol != AS_PUBLISHED else []
    kept = f"{fraction:g} of the training split kept, for generators and classifiers"
    return sentences + ([kept] if fraction != 1 else [])


def mirrored(names: Iterable[str], cards: Cards) -> str:
    def said(name: str) -> str:
        return ("mirrored" if cards[name].horizontal_flip else "not mirrored") if name in cards else "not known"

    return each(names, said)


def seeds_of(config: Config) -> str:
    """The generator seeds of every listed study that trains generators."""
    studies = {name: study for name, study in config.reached.items() if study.augmenters}
    return each(studies, lambda name: ", ".join(str(seed) for seed in studies[name].generator_seeds))
