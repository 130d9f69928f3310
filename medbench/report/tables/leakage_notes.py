"""The sentences under the table of two protocols: what was removed, and what the difference does not show."""

from dataclasses import replace

from medbench.report.audits import PROTOCOLS, audit_of, leaks_text, removed_text, stays_text
from medbench.report.conditions import AS_PUBLISHED, accepted_notes, patients_notes
from medbench.report.gaps import gap_sentences
from medbench.report.leakage import AS_IT_CAME, is_identical, same_test_images
from medbench.report.published import published_values
from medbench.report.results import StudyResults
from medbench.report.splits import drawn_splits, splits_text
from medbench.report.tables.differences import MARK_CLEAR, SEEDS_TO_CLAIM
from medbench.report.tables.utility_notes import phantom_notes, reliance
from medbench.run.layout import parts_of

OTHER_SETS = (
    "A difference of two protocols is not the share of an AUROC that is leakage: training set, test set and the shares"
    " of the classes all change. Part of a difference is that one test set is harder than the other, or that fewer"
    " images were learned from. Where no test image was removed, only the training and validation images differ."
)
CLEAN_LEAKS = (
    "clean is not free of leaks: near duplicates and groups (such as patients) that stand in two splits stay, so that"
    " leakage is underestimated, if anything."
)
UNPAIRED = (
    "multi-reader multi-case interval for unpaired cases (after Obuchowski and Rockette 1995): the variance from test"
    " images is the sum of both sets', each drawn on its own; degrees of freedom as Hillis 2007 gives them for paired"
    " cases"
)


def leakage_notes(results: StudyResults) -> list[str]:
    """Plain sentences for under the leakage tables, in reading order: first what is missing."""
    pairs = _of_pairs(results)
    return [
        *gap_sentences(pairs, "utility"),
        *accepted_notes(pairs),
        *phantom_notes(pairs),
        "Each row is one arm, trained and tested on a dataset as published and, with the same seeds, on the same images"
        " under another protocol. Difference: AUROC as published minus that under the other protocol; above 0, the one"
        " as published is higher.",
        *_protocols(pairs),
        *_splits(pairs),
        *(sentence for pair in pairs.protocols for sentence in _removed(pairs, *pair)),
        *_limits(pairs),
        *_statistics(pairs),
        *_published(pairs),
        "The utility tables say how the classifiers were trained.",
    ]


def _of_pairs(results: StudyResults) -> StudyResults:
    """The same study with the datasets of pairs alone."""
    names = {name for pair in results.protocols for name in pair}
    expected = {path: made for path, made in results.expected.items() if parts_of(path)[0] in names}
    return replace(results, datasets=[name for name in results.datasets if name in names], expected=expected)


def _protocols(results: StudyResults) -> list[str]:
    cards = [results.card(name) for name in results.datasets]
    used = {AS_PUBLISHED, *(card.protocol for card in cards if card)}
    said = [f"{protocol.replace('_', ' ')}: {text}" for protocol, text in PROTOCOLS.items() if protocol in used]
    return [f"Protocols. {'; '.join(said)}."]


def _splits(results: StudyResults) -> list[str]:
    """Of each dataset as published, which splits were published and which drawn."""
    cards = [card for name in dict.fromkeys(own for own, _ in results.protocols) if (card := results.card(name))]
    said = [f"Splits of {card.name}: {splits_text(card)}." for card in cards]
    if any("test" in drawn_splits(card) for card in cards):
        said.append(
            f"A dataset whose test split was not published is marked `{AS_IT_CAME}`: it tests no published split."
        )
    return said


def _removed(results: StudyResults, published: str, other: str) -> list[str]:
    """What the audits of a pair say: what leaks as published, what the protocol did about it, and what stays."""
    before, after = audit_of(results, published), audit_of(results, other)
    if after is None:
        done = "how many images were removed is not known, as its audit is not there"
    else:
        stays = stays_text(after) if after.protocol == "clean" else ""
        done = removed_text(after) + (f"; what stays: {stays}" if stays else "")
    said = [*([f"{published}: {leaks_text(before)}."] if before else []), f"{other}: {done}."]
    if is_identical(results, published, other):
        said.append(f"{published} and {other} are identical, as nothing was removed: no difference is shown.")
    elif same_test_images(results, published, other):
        said.append(f"{published} and {other} have the same test images; what was learned from differs.")
    return said


def _limits(results: StudyResults) -> list[str]:
    """What no pair shows; nothing of differences where there is none."""
    cards = [results.card(other) for _, other in results.protocols]
    clean = any(card and card.protocol == "clean" for card in cards)
    differ = not all(is_identical(results, *pair) for pair in results.protocols)
    return [*([OTHER_SETS] if differ else []), *([CLEAN_LEAKS] if clean else [])]


def _statistics(results: StudyResults) -> list[str]:
    generated = any(map(results.generates, results.arms))
    seeds = f"Seeds of the classifiers: {', '.join(map(str, results.classifier_seeds))}"
    seeds += f"; of the generators: {', '.join(map(str, results.seeds))}" if generated else ""
    covered = ", and generator seeds where an arm has at least two" if generated else ""
    return [
        f"{seeds}. ± of an AUROC is the standard deviation over an arm's runs, of a difference that over classifier"
        " seeds (N − 1).",
        f"95 % interval of a difference: {UNPAIRED}. Seeds are paired: those of the two runs that share a seed are"
        " subtracted, and their spread is taken over seeds. It covers classifier seeds and both sets of test"
        f" images{covered}.{reliance(results)} Images that stand in both sets make it wider than it need be; copies of"
        " an image, each of which counts in a split as published, make it narrower.",
        *patients_notes(results),
        f"{MARK_CLEAR} The interval leaves out 0, from {SEEDS_TO_CLAIM} classifier seeds on; without the mark"
        " the difference is inconclusive. The intervals are not corrected for the number of comparisons.",
    ]


def _published(results: StudyResults) -> list[str]:
    values = published_values(results.papers, "auroc")
    if not values:
        return []
    paper = values[0].paper
    return [
        f"Published values: {paper.label}, {values[-1].augmenter}, doi {paper.doi}; {paper.silence}. They stand"
        " under `as published`, as the abstract names no other split."
    ]
