"""The sentences under the utility tables: how the classifiers were trained, and what their numbers do not show."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from medbench.core.arms import Arm
from medbench.report.conditions import (
    Conditions,
    accepted_notes,
    card_of,
    conditions_of,
    described,
    listed,
    mixed,
    patients_notes,
    remaining,
    stated,
    varying,
)
from medbench.report.effects import DIFFERENCE_INTERVAL, DRAWS
from medbench.report.gaps import gap_sentences
from medbench.report.numbers import NOT_KNOWN
from medbench.report.published import published_values
from medbench.report.results import CONDITION, StudyResults
from medbench.report.tables.arm_notes import MIXING, arm_notes
from medbench.report.tables.differences import MARK_CLEAR, SEEDS_TO_CLAIM
from medbench.utility.intervals import NULL_RATES
from medbench.utility.scores import ORDINAL

FEW_SEEDS = 10  # a resample of fewer repeats so many of them that its spread is clearly too small
PHANTOM_WARNING = "Procedural phantoms, drawn by a program: no evidence on patients"
# Conditions that differ between datasets, and between the arms of one, as they should.
OF_DATASET = ("n_val", "n_test", "horizontal_flip", "dataset_sha256")
OF_ARM = ("budget", "steps", "n_train", "n_real", "n_extra", "train_counts", "samples_sha256", *MIXING)
OF_TRAINING = ("network", "init", "weights_sha256", "image_size", "optimizer", "learning_rate", "weight_decay")
OF_STEPS = ("batch_size", "real_steps", "shift", "validations")
SAID = (*OF_DATASET, *OF_ARM, *OF_TRAINING, *OF_STEPS)


def utility_notes(results: StudyResults, rows: pd.DataFrame) -> list[str]:
    """Plain sentences for under the utility tables, in reading order: first what is missing.

    Args:
        results: what a study left.
        rows: its `utility_rows`.
    """
    found = conditions_of(rows)
    return [
        *gap_sentences(results, "utility"),
        *accepted_notes(results),
        *phantom_notes(results),
        *arm_notes(results, rows),
        *_statistics(results),
        *(_training(results, rows, found) if found else []),
        *_kappa(results),
        *_counts(results, rows),
        *_absent(rows),
        *_published(results),
        *remaining(found, [name for name in found if name in SAID or _absence(name)]),
        *mixed(_mixed(results, rows)),
    ]


def classifier_name(rows: pd.DataFrame) -> str:
    """ResNet50, or what else the rows come from."""
    networks = conditions_of(rows).get("network", [])
    return " or ".join(name.replace("resnet", "ResNet") for name in networks) or "the classifier"


def phantoms(results: StudyResults) -> list[str]:
    """The datasets whose images were drawn by a program."""
    cards = {name: card_of(results, name) for name in results.datasets}
    return [name for name, card in cards.items() if card and "phantom" in card.source]


def phantom_notes(results: StudyResults) -> list[str]:
    names = phantoms(results)
    return [f"{PHANTOM_WARNING} ({listed(names)})."] if names else []


def ordinal(results: StudyResults) -> list[str]:
    """The datasets whose classes have an order."""
    cards = {name: card_of(results, name) for name in results.datasets}
    return [name for name, card in cards.items() if card and card.task == ORDINAL]


def positive_class(results: StudyResults, dataset: str) -> str:
    """Whose sensitivity a table of the dataset shows."""
    card = card_of(results, dataset)
    return (card.positive or "mean over classes") if card else NOT_KNOWN


def _positives(results: StudyResults) -> str:
    cards = {name: card_of(results, name) for name in results.datasets}
    named = [f"{name}: {card.positive}" for name, card in cards.items() if card and card.positive]
    return f" ({', '.join(named)})" if named else ""


def _statistics(results: StudyResults) -> list[str]:
    generated = _generated(results)
    seeds = f"Seeds of the classifiers: {_spelled(results.classifier_seeds)}"
    seeds += f"; of the generators: {_spelled(results.seeds)}" if generated else ""
    sentences = [
        f"A run is one classifier, trained on an arm's images. {seeds}. ± is the standard deviation over an arm's runs"
        " (N − 1).",
        f"In brackets after an AUROC: 95 % percentile interval of a bootstrap ({DRAWS} draws) that resamples seeds and,"
        f" class by class, test images, those of one patient together where patients are known.{_too_narrow(results)}",
        *patients_notes(results),
    ]
    if len(results.arms) > 1:
        sentences += [
            f"In brackets after a difference: {difference_note(results)}",
            f"{MARK_CLEAR} The interval of a difference leaves out 0; without the mark the difference is"
            " inconclusive. The intervals are not corrected for the number of comparisons.",
        ]
    return sentences


def difference_note(results: StudyResults) -> str:
    """What the interval of a difference is, what it covers, and how far it can be relied on with the study's seeds."""
    generators = ", and generator seeds where an arm has at least two" if _generated(results) else ""
    return (
        f"95 % {DIFFERENCE_INTERVAL} of an arm's AUROC minus that of the arm it is compared with; seeds stand for"
        f" readers, test images for cases. It covers classifier seeds and test images{generators}.{reliance(results)}"
    )


def reliance(results: StudyResults) -> str:
    """How often such an interval errs with the study's seeds, to end a paragraph; empty where it keeps to 5 %."""
    if len(results.classifier_seeds) < SEEDS_TO_CLAIM:
        return f" With fewer than {SEEDS_TO_CLAIM} classifier seeds no difference is claimed."
    several = {kind: n for kind, n in _seeds(results).items() if n > 1}
    fewest = min(several.values())
    if fewest not in NULL_RATES:
        return ""
    kinds = " and ".join(kind for kind, n in several.items() if n == fewest)
    return (
        f" With {fewest} {kinds} seeds it errs more often than 5 times in 100: where nothing is different, it leaves"
        f" out 0 up to {NULL_RATES[fewest]} times (simulated)."
    )


def _too_narrow(results: StudyResults) -> str:
    return " With so few seeds it is too narrow." if min(_seeds(results).values()) < FEW_SEEDS else ""


def _seeds(results: StudyResults) -> dict[str, int]:
    """How many there are, of each kind."""
    generators = {"generator": len(results.seeds)} if _generated(results) else {}
    return {"classifier": len(results.classifier_seeds)} | generators


def _generated(results: StudyResults) -> bool:
    return any(map(results.generates, results.arms))


def _training(results: StudyResults, rows: pd.DataFrame, found: Conditions) -> list[str]:
    size = stated(found, "image_size")
    return [
        f"Classifier: {classifier_name(rows)}, {_init(found)}, images resized to {size}×{size};"
        f" {stated(found, 'optimizer')}, from learning rate {stated(found, 'learning_rate')} to 0, weight decay"
        f" {stated(found, 'weight_decay')}; batches of {stated(found, 'batch_size')}."
        f" {_steps(results, rows, found)}",
        f"Augmentation, the same for every arm: random shifts of at most {_percent(found)} of the side, and random"
        f" mirroring where a dataset's card allows it ({_flips(rows)}).",
        f"Chosen on val: the network, by the highest AUROC of {stated(found, 'validations')} evenly spaced checks"
        " (ties: the lowest loss), as many for every arm; and each class's threshold, by Youden's index. The test split"
        " was scored once.",
        f"AUROC, sensitivity and specificity: of the positive class of two{_positives(results)}, else means"
        " over the classes, one against the rest. Sensitivity and specificity are those at the threshold; accuracy,"
        " balanced accuracy and macro F1 take the most probable class.",
    ]


def _kappa(results: StudyResults) -> list[str]:
    names = ordinal(results)
    if not names:
        return []
    return [
        f"Quadratic kappa: Cohen's kappa of the most probable class on the test split, where classes have an order"
        f" ({listed(names)}); a disagreement weighs by the square of its distance in steps. AUROC knows nothing of the"
        " order."
    ]


def _init(found: Conditions) -> str:
    inits = {"imagenet": f"from ImageNet weights (sha256 {stated(found, 'weights_sha256')[:12]})"}
    return " or ".join(inits.get(init, f"from {init}") for init in found.get("init", ["an initialisation not stated"]))


def _steps(results: StudyResults, rows: pd.DataFrame, found: Conditions) -> str:
    steps = stated(found, "real_steps")
    texts = {
        "steps": f"Equal optimiser steps: {steps} for every arm.",
        "epochs": f"Equal epochs: {steps} steps for a set as large as the real one, more for a larger one"
        f"{_longer(rows)}.",
    }
    return " ".join(texts[budget] for budget in results.budgets)


def _longer(rows: pd.DataFrame) -> str:
    own = rows[rows["budget"] == "epochs"]
    mixed_arms = [(Arm.parse(arm).ratio, steps) for arm, steps in _pairs(own, "arm", "steps") if "+" in arm]
    said = [f"{steps} at ×{ratio:g}" for ratio, steps in sorted(set(mixed_arms))]
    return f" ({', '.join(said)})" if said else ""


def _percent(found: Conditions) -> str:
    return " or ".join(f"{100 * float(shift):g} %" for shift in found.get("shift", [])) or "a part not stated"


def _flips(rows: pd.DataFrame) -> str:
    """A mirror is data knowledge, so it goes by dataset."""
    flips = dict(_pairs(rows, "dataset", "horizontal_flip"))
    kept = [name for name in flips if flips[name]]
    lost = [name for name in flips if not flips[name]]
    return "; ".join([listed(kept or ["none here"]), *([f"not {listed(lost)}"] if kept and lost else [])])


def _counts(results: StudyResults, rows: pd.DataFrame) -> list[str]:
    sentences = []
    for dataset in results.datasets:
        own, card = rows[rows["dataset"] == dataset], card_of(results, dataset)
        if card is None or own.empty:
            continue
        extra = sorted({(Arm.parse(arm).ratio, n) for arm, n in _pairs(own, "arm", "n_extra") if n})
        train, val, test = (sum(card.counts.get(split, [])) for split in ("train", "val", "test"))
        more = f"; extra images: {', '.join(f'{n} at ×{ratio:g}' for ratio, n in extra)}" if extra else ""
        sentences.append(f"{dataset}: {described(card)}; real images: {train} train, {val} val, {test} test{more}.")
    return sentences


def _absent(rows: pd.DataFrame) -> list[str]:
    """Classes of which a split has no image: scores of them are undefined there, and means are over the others."""
    columns = [str(name) for name in rows if _absence(str(name).removeprefix(CONDITION))]
    said = {
        f"{dataset}: no image of {listed(classes)} in {column.rpartition('.')[2]}; what needs one is not defined there,"
        " and means over classes leave it out."
        for column in columns
        for dataset, classes in zip(rows["dataset"], rows[column], strict=True)
        if isinstance(classes, list) and classes
    }
    return sorted(said)


def _absence(name: str) -> bool:
    return name.startswith("classes_absent")


def _published(results: StudyResults) -> list[str]:
    values = published_values(results.papers, "auroc")
    if not values:
        return []
    paper = values[0].paper
    return [
        f"Published values: {paper.label}, {values[-1].augmenter}, doi {paper.doi}; {paper.silence}."
        " They stand beside ours to be seen together, and are no measure of ours: other images, other training."
    ]


def _mixed(results: StudyResults, rows: pd.DataFrame) -> list[str]:
    """Conditions that should be one for all values, or one a dataset, and are not."""
    everywhere = [name for name in varying(conditions_of(rows)) if name not in OF_DATASET + OF_ARM]
    within = [
        name
        for dataset in results.datasets
        for name in varying(conditions_of(rows[rows["dataset"] == dataset]))
        if name in OF_DATASET
    ]
    return [name for name in everywhere if not _absence(name)] + within


def _pairs(rows: pd.DataFrame, column: str, condition: str) -> list[tuple[str, Any]]:
    """The distinct combinations of a column and a condition, where the condition is stated."""
    name = f"{CONDITION}{condition}"
    if name not in rows:
        return []
    return list(rows[[column, name]].dropna().drop_duplicates().itertuples(index=False, name=None))


def _spelled(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
