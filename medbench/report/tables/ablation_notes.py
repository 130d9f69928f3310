"""The sentences under the ablation tables."""

from medbench.report.ablation import members, mixed_arm, parts
from medbench.report.conditions import accepted_notes, patients_notes
from medbench.report.effects import BUDGETS
from medbench.report.gaps import gap_sentences
from medbench.report.results import StudyResults
from medbench.report.tables.differences import MARK_CLEAR, SEEDS_TO_CLAIM
from medbench.report.tables.fid_notes import number_notes
from medbench.report.tables.settings_notes import settings_notes
from medbench.report.tables.utility_notes import difference_note


def ablation_notes(results: StudyResults) -> list[str]:
    """Plain sentences for under the ablation tables: what is missing, what parts are, what is claimed."""
    names = members(results)
    with_arms = any(mixed_arm(results, name) for name in names)
    stages = ["fidelity", *(["utility"] if with_arms else [])]
    return [
        *dict.fromkeys(sentence for stage in stages for sentence in gap_sentences(results, stage, names)),
        *accepted_notes(results),
        f"The whole model is {results.ablation}. Every other row differs from it in what the column `difference` says,"
        " and has the same seeds.",
        *_parts(results),
        *number_notes(results),
        _fid_claim(results),
        *(_auroc(results) if with_arms else []),
        *settings_notes(results, names),
    ]


def _parts(results: StudyResults) -> list[str]:
    if "multi_attention" not in parts(results.section(str(results.ablation))):
        return []
    return [
        "multi: multi-attention, the encoder's module; its channel, spatial, self- and class cross-attention go with"
        " it. channel, spatial, self: these parts of the module; self-attention in the middle of the network stays."
        " RoPE: the rotation in every self-attention; it has no weights. cross: cross-attention to class tokens,"
        " everywhere; without it the label is added to the time embedding."
    ]


def _fid_claim(results: StudyResults) -> str:
    seeds = f"Generator seeds: {', '.join(map(str, results.seeds))}; ± in a FID is the standard deviation (N − 1)."
    if len(results.seeds) < SEEDS_TO_CLAIM:
        return (
            f"{seeds} Differences in FID are means over the seeds that both models have; with fewer than"
            f" {SEEDS_TO_CLAIM} none is claimed."
        )
    return (
        f"{seeds} Differences in FID: mean over the seeds that both models have ± half a 95 % t-interval; {MARK_CLEAR}"
        f" it leaves out 0. From fewer than {SEEDS_TO_CLAIM} seeds the mean stands alone and nothing is claimed. The"
        " intervals cover the variation between generator seeds only, and are not corrected for the number of"
        " comparisons."
    )


def _auroc(results: StudyResults) -> list[str]:
    return [
        "AUROC: of classifiers trained on the real images and those of the row, ×r of them for each real one"
        f" ({BUDGETS[results.budgets[0]]}); mean ± standard deviation over runs. The utility tables say how they were"
        " trained.",
        "Differences in AUROC are between arms of the same ratio, paired by generator and classifier seed:"
        f" {difference_note(results)} {MARK_CLEAR} it leaves out 0, from {SEEDS_TO_CLAIM} classifier seeds on.",
        *patients_notes(results),
    ]
