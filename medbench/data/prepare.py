"""The stage `prepare`: a dataset's config section becomes images in MedMNIST's layout and a card."""

from collections.abc import Mapping

from medbench.config import AnyDataset
from medbench.data import KINDS
from medbench.data.dataset import Card, Dataset, Split, SplitName, class_counts
from medbench.data.source import Source, absent_classes, check
from medbench.data.subset import take_fraction
from medbench.errors import UserError
from medbench.registry import imported
from medbench.rng import numpy_rng


def prepare(section: AnyDataset, name: str, seed: int) -> Dataset:
    """The dataset that a section describes.

    Every draw depends on (seed, what is drawn) and not on `name`, so that entries which differ only in size, channels
    or `train_fraction` have the same test images, and a smaller fraction is a part of a larger one.

    Args:
        section: from `datasets:`.
        name: its key there; on the card and in errors.
        seed: the study's.

    Raises:
        UserError: anything wrong with the input, as `datasets.<name>: <file>: <what>`.
    """
    try:
        source: Source = imported(KINDS[section.kind])(section, seed)
        check(source)
    except UserError as error:
        raise UserError(f"datasets.{name}: {error}") from error
    splits, notes = dict(source.splits), list(source.notes)
    if section.train_fraction < 1:
        whole = splits["train"]
        splits["train"] = take_fraction(whole, section.train_fraction, numpy_rng(seed, "dataset", "train_fraction"))
        notes.append(
            f"train_fraction {section.train_fraction:g}: {len(splits['train'])} of {len(whole)} training images kept,"
            " stratified by class, whole groups"
        )
    return Dataset(splits, _card(section, name, source, splits, notes + absent_classes(splits, source.classes)))


def _card(section: AnyDataset, name: str, source: Source, splits: Mapping[SplitName, Split], notes: list[str]) -> Card:
    images = splits["train"].images
    flip = source.horizontal_flip if section.horizontal_flip is None else section.horizontal_flip
    return Card(
        name=name,
        title=section.title or source.title or name,
        source=source.origin,
        source_sha256=source.sha256,
        licence=section.licence or source.licence or "not stated",
        citation=section.citation or "not stated",
        classes=source.classes,
        channels=1 if images.ndim == 3 else 3,
        image_size=(images.shape[1], images.shape[2]),
        counts=class_counts(splits, len(source.classes)),
        horizontal_flip=flip,
        train_fraction=section.train_fraction,
        skipped=source.skipped,
        notes=notes,
    )
