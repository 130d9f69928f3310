"""Which splits of a dataset came with its images, and which were drawn here: as its card's notes say."""

import re

from medbench.data.dataset import SPLITS, Card

PROCEDURAL = "procedural phantom"  # the source of images that were made here, with their splits
DRAWN = re.compile(r"^(.+) drawn from the training images by seed \d+")


def drawn_splits(card: Card) -> list[str]:
    """The splits that were not published."""
    if card.source == PROCEDURAL:
        return list(SPLITS)
    said = " ".join(found[1] for note in card.notes if (found := DRAWN.match(note)))
    return [name for name in SPLITS if re.search(rf"\b{name} \(", said)]


def splits_text(card: Card) -> str:
    """As the end of a sentence.

    For example "train and test as published; val (0.1) drawn from the training images by seed 0: stratified by class".
    """
    drawn = drawn_splits(card)
    if len(drawn) == len(SPLITS):
        return "no split was published; all images are made by procedure, each for its split"
    if not drawn:
        return "train, val and test as published"
    kept = [name for name in SPLITS if name not in drawn]
    came = "neither val nor test was published" if kept == ["train"] else f"{' and '.join(kept)} as published"
    return "; ".join([came, *(note for note in card.notes if DRAWN.match(note))])
