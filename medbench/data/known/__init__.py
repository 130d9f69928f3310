"""The published datasets that medbench knows by name, and as text: one line each, and all that is known of one."""

from collections.abc import Sequence
from typing import get_args

from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS
from medbench.data.fetched import fetched
from medbench.data.known.facts import ARCHIVES, SIZES, MedMnistName, medmnist_facts
from medbench.data.published import Facts

ABSENT = "not here"
JUDGED = {True: "yes (our judgement)", False: "no (our judgement)"}
HEADINGS = ("name", "task", "classes", "train/val/test", "side, pixels", "licence", "to get", "here")


def known() -> dict[str, list[Facts]]:
    """Name -> what is known of it: one entry per size that is published, mostly one."""
    sets = {name: [medmnist_facts(name, size) for size in SIZES] for name in get_args(MedMnistName)}
    return sets | {name: [facts] for name, facts in ARCHIVES.items()}


def list_known() -> str:
    """A table of every known dataset, one line each."""
    rows = [HEADINGS, *(_row(sizes) for sizes in known().values())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", "All of one: medbench datasets show NAME"])


def show_known(name: str) -> str:
    """All that is known of one.

    Raises:
        UserError: no such name.
    """
    if name not in known():
        raise UserError(f"{name}: is no known dataset (known: {', '.join(known())})")
    sizes = known()[name]
    facts = sizes[0]
    by_itself = "by itself when a study reaches it (snakemake fetch_all: all of them at once); or by hand from"
    by_hand = f"by hand from {facts.remote.page}, to the place below"
    fields: dict[str, Sequence[str]] = {
        "task": [facts.task],
        "classes": [f"{label} {cls}" for label, cls in enumerate(facts.classes)],
        "images": _counts(facts),
        "side, pixels": [", ".join(size.sizes for size in sizes)],
        "a mirror keeps the meaning": [JUDGED[facts.horizontal_flip]],
        "another hue keeps the meaning": [JUDGED[facts.hue_shift]],
        "licence": [facts.licence + (" (to be accepted by accept_licence)" if facts.restricted else "")],
        "citation": [facts.citation],
        "know before use": facts.notes,
        "in a config": [size.section for size in sizes],
        "how to get it": [by_itself, str(facts.remote.page)] if facts.remote.urls else [by_hand],
        "file": [f"{size.remote.path}: {_state(size)}" for size in sizes],
        "proved by": [f"{size.remote.file}: {_proof(size)}" for size in sizes],
    }
    lines = [facts.title]
    for field, values in fields.items():
        if len(values) == 1:
            lines.append(f"  {field}: {values[0]}")
        elif values:
            lines += [f"  {field}:", *(f"    {value}" for value in values)]
    return "\n".join(lines)


def _row(sizes: Sequence[Facts]) -> tuple[str, ...]:
    facts = sizes[0]
    here = [(f"{size.sizes}: " if len(sizes) > 1 else "") + _state(size) for size in sizes if _state(size) != ABSENT]
    return (
        facts.name,
        facts.task,
        str(len(facts.classes)),
        "/".join(str(facts.totals.get(split, "-")) for split in SPLITS) if facts.counts else "not published",
        ", ".join(size.sizes for size in sizes),
        facts.licence.partition(",")[0] + (" (restricted)" if facts.restricted else ""),
        "download" if facts.remote.urls else "by hand",
        "; ".join(here) or "no",
    )


def _counts(facts: Facts) -> list[str]:
    lines = []
    for split, classes in (facts.counts or {}).items():
        named = ", ".join(f"{cls} {count}" for cls, count in classes.items() if cls)
        lines.append(f"{split} {facts.totals[split]}" + (f": {named}" if named else ""))
    return lines or ["not published"]


def _state(facts: Facts) -> str:
    if not facts.remote.record.exists():
        return "here, not verified yet" if facts.remote.path.exists() else ABSENT
    try:
        record = fetched(facts.remote, quick=True)
    except UserError:
        return "was changed since it was fetched"
    if record.differs:
        return "here, accepted although it differs"
    if record.proved_by:
        algorithm, _, digits = record.proved_by.partition(":")
        return f"verified ({algorithm} {digits[:8]}...)"
    of_size = ", of the published size" if facts.remote.size else ""
    return f"here{of_size}, its content is counted when it is prepared"


def _proof(facts: Facts) -> str:
    remote = facts.remote
    if remote.hash:
        return remote.hash
    size = f"{remote.size} bytes, and " if remote.size else ""
    return f"{size}its images per class and split (no hash is published)"
