"""What is known of a published dataset before it is here."""

from dataclasses import dataclass, field

from medbench.data.dataset import SplitName
from medbench.data.remote import Remote

Counts = dict[SplitName, dict[str, int]]  # images a class and split


@dataclass(frozen=True)
class Facts:
    name: str  # for the command line: pneumoniamnist, chest_ct
    section: str  # how a config names it, as YAML
    title: str
    task: str  # binary-class, multi-class, ordinal-regression, or "multi-label, binary-class"
    classes: tuple[str, ...]  # label k is classes[k]
    remote: Remote
    licence: str
    citation: str
    counts: Counts | None = None  # None: not published
    totals: dict[SplitName, int] | None = None  # images a split, where only these are published
    channels: int = 3
    sizes: str = "varying"  # sides of the images in pixels
    horizontal_flip: bool = False  # whether a mirror keeps the meaning: our judgement
    hue_shift: bool = False  # whether another hue does: our judgement
    restricted: bool = False  # whether the licence must be accepted by name
    notes: tuple[str, ...] = field(default=())  # what a reader of any number made with it must know
