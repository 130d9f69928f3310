"""The stage `prepare`: a dataset's config section becomes images in MedMNIST's layout and a card."""

from typing import Literal

from medbench.core.errors import UserError
from medbench.core.registry import imported
from medbench.data import KINDS
from medbench.data.dataset import Card, Dataset, class_counts
from medbench.data.sections import AnyDataset
from medbench.data.source import Source, check, in_order


def prepare(section: AnyDataset, name: str, seed: int) -> Dataset:
    """The raw dataset that a section describes: all images, each with its origin, before any protocol.

    Every draw depends on (seed, what is drawn) and not on `name`, so that entries which differ only in size or channels
    have the same test images.

    Args:
        section: from `datasets:`.
        name: its key there; on the card and in errors.
        seed: the study's.

    Raises:
        UserError: anything wrong with the input, as `datasets.<name>: <file>: <what>`.
    """
    try:
        source: Source = in_order(imported(KINDS[section.kind])(section, seed), section)
        check(source)
    except UserError as error:
        raise UserError(f"datasets.{name}: {error}") from error
    return Dataset(source.splits, _card(section, name, source))


def _card(section: AnyDataset, name: str, source: Source) -> Card:
    images = source.splits["train"].images
    channels: Literal[1, 3] = 1 if images.ndim == 3 else 3
    flip = source.horizontal_flip if section.horizontal_flip is None else section.horizontal_flip
    hue = source.hue_shift if section.hue_shift is None else section.hue_shift
    return Card(
        name=name,
        title=section.title or source.title or name,
        source=source.origin,
        source_sha256=source.sha256,
        licence=section.licence or source.licence or "not stated",
        citation=section.citation or source.citation or "not stated",
        task=source.task or ("binary-class" if len(source.classes) == 2 else "multi-class"),
        classes=source.classes,
        channels=channels,
        image_size=(images.shape[1], images.shape[2]),
        counts=class_counts(source.splits, len(source.classes)),
        horizontal_flip=flip,
        patients=source.patients,
        hue_shift=hue and channels == 3,
        window=source.window,
        accepted=source.accepted,
        skipped=source.skipped,
        notes=source.notes,
    )
