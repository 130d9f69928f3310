"""What a publisher says is in a dataset, against what was found."""

from collections import Counter
from collections.abc import Sequence

from medbench.core.errors import UserError
from medbench.data.dataset import SplitName
from medbench.data.known.facts import Facts
from medbench.data.listing import Item
from medbench.data.record import Record

Key = tuple[SplitName, str]  # split, class


def differences(facts: Facts, items: Sequence[Item], record: Record, accepted: bool) -> list[str]:
    """How the files at hand are not the published ones, in sentences; none where they are.

    Args:
        facts: with the published counts a class and split; None of them: the files' own hash is the only proof.
        items: the images found, in the published splits and classes; without split: train.
        record: of the fetched file.
        accepted: whether the config says `accept: changed`.

    Raises:
        UserError: they differ and that was not accepted: a table of expected against found.
    """
    found: Counter[Key] = Counter((item.split or "train", item.label) for item in items)
    expected: dict[Key, int] = {
        (split, cls): count for split, classes in (facts.counts or {}).items() for cls, count in classes.items()
    }
    wrong = [key for key in dict.fromkeys([*expected, *sorted(found)]) if found[key] != expected.get(key, 0)]
    if not expected:
        wrong = []
    if (wrong or record.differs) and not accepted:
        raise UserError("\n".join([_first_line(facts, record), *_table(expected, found, wrong)]))
    sentences = [f"{record.differs} (accepted)"] if record.differs else []
    return sentences + [
        f"{found[split, cls]} images of {cls} in {split}, published are {expected.get((split, cls), 0)} (accepted)"
        for split, cls in wrong
    ]


def _first_line(facts: Facts, record: Record) -> str:
    what = f" ({record.differs})" if record.differs else ""
    return (
        f"{facts.remote.path}: is not what was published{what}; fetch it again, or go on with it by accept: changed,"
        " which every table will state"
    )


def _table(expected: dict[Key, int], found: Counter[Key], wrong: list[Key]) -> list[str]:
    """Every class and split, those that differ marked."""
    keys = list(dict.fromkeys([*expected, *sorted(found)])) if wrong else []
    width = max((len(cls) for _, cls in keys), default=0)
    rows = [
        f"  {split:<5}  {cls:<{width}}  {expected.get((split, cls), 0):>8}  {found[split, cls]:>6}"
        f"{'  differs' if (split, cls) in wrong else ''}"
        for split, cls in keys
    ]
    return [f"  {'split':<5}  {'class':<{width}}  expected   found", *rows] if rows else []
