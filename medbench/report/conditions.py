"""The conditions that numbers carry, as sentences."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import pandas as pd

from medbench.data.dataset import Card, Patients
from medbench.report.results import CONDITION, StudyResults

AS_PUBLISHED = "as_published"  # the protocol, on a card, that removes nothing
PATIENTS: dict[Patients, str] = {
    "known": "known",
    "partly": "known for some images, each other image counts by itself",
    "unknown": "not known, each image counts by itself",
}
Conditions = Mapping[str, Sequence[str]]  # name without prefix -> the values that it takes


def conditions_of(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Every condition of these rows with its distinct values as text; one that is never stated is left out."""
    names = sorted(str(name) for name in rows if str(name).startswith(CONDITION))
    texts = {name.removeprefix(CONDITION): rows[name].dropna().astype(str).unique().tolist() for name in names}
    return {name: values for name, values in texts.items() if values}


def stated(conditions: Conditions, name: str) -> str:
    return " or ".join(conditions.get(name, ["not stated"]))


def remaining(conditions: Conditions, said: Collection[str]) -> list[str]:
    """Package versions, and whatever else stands in no other sentence."""
    versions = [f"{name.removeprefix('versions.')} {stated(conditions, name)}" for name in conditions if _package(name)]
    others = [
        f"{name.replace('_', ' ').replace('.', ' ')} {stated(conditions, name)}"
        for name in conditions
        if name not in said and not _package(name)
    ]
    sentences = [f"Package versions: {', '.join(versions)}."] if versions else []
    return sentences + ([f"Other conditions: {', '.join(others)}."] if others else [])


def _package(name: str) -> bool:
    return name.startswith("versions.")


def mixed(names: Iterable[str]) -> list[str]:
    """The warning that values differ in these conditions, where there are any."""
    spelled = [name.replace("_", " ") for name in dict.fromkeys(names)]
    if not spelled:
        return []
    return [f"Not all values were made under the same conditions: they differ in {listed(spelled)}."]


def varying(conditions: Conditions) -> list[str]:
    return [name for name, values in conditions.items() if len(values) > 1]


def card_of(results: StudyResults, dataset: str) -> Card | None:
    """None: the dataset is a gap."""
    return results.card(dataset)


def described(card: Card) -> str:
    """Title and size of the images, and a protocol that changes the published split: Chest CT, 28×28×1, clean"""
    size = "×".join(str(side) for side in (*card.image_size, card.channels))
    return ", ".join([card.title, size, *([card.protocol] if card.protocol != AS_PUBLISHED else [])])


def patients_text(card: Card) -> str:
    """What an interval takes as independent: patients, or images where patients are not known."""
    return PATIENTS[card.patients] + (", near duplicates as one" if card.protocol == "resplit" else "")


def patients_notes(results: StudyResults) -> list[str]:
    """A sentence for all datasets of which the same is known, as it must stand beside every interval."""
    by_text: dict[str, list[str]] = {}
    for card in filter(None, map(results.card, results.datasets)):
        by_text.setdefault(patients_text(card), []).append(card.name)
    return [f"Patients of {', '.join(names)}: {text}." for text, names in by_text.items()]


def accepted_note(card: Card, most: int = 3) -> str:
    """In which ways a dataset is not what was published, where that was accepted; else empty."""
    if not card.accepted:
        return ""
    more = len(card.accepted) - most
    said = [text.removesuffix(" (accepted)") for text in card.accepted[:most]]
    said += [f"and {more} more"] if more > 0 else []
    return f"{card.name} is not what was published, which was accepted: {'; '.join(said)}."


def accepted_notes(results: StudyResults) -> list[str]:
    """A sentence for each dataset of a study that is not what was published."""
    cards = [card for name in results.datasets if (card := results.card(name))]
    return [accepted_note(card) for card in cards if card.accepted]


def listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
