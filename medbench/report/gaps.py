"""What a run folder lacks, and what in it was made with another config."""

import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

from medbench.core.arms import Arm
from medbench.core.errors import UserError
from medbench.report.results import StudyResults
from medbench.run.job_logs import End, read_log
from medbench.run.layout import RAW, STAGES, job_of, log_of, parts_of, stage_of

MISSING = "missing"


def runs_text(there: int, wanted: int) -> str:
    """What stands behind a row's name where only some of its runs are there.

    >>> runs_text(2, 3), runs_text(3, 3), runs_text(0, 3)
    (' (2 of 3 runs)', '', '')
    """
    return f" ({there} of {wanted} runs)" if 0 < there < wanted else ""


def gap_sentences(
    results: StudyResults, stage: str | None = None, augmenters: Collection[str] | None = None
) -> list[str]:
    """A sentence for each thing that is missing though nothing that it is made from is.

    Args:
        results: what a study left.
        stage: only what keeps files of this stage from being there; None: of any stage.
        augmenters: only what keeps files of these from being there; None: of any, and files of none.
    """
    missing = [path for path in results.gaps if stage in (None, stage_of(path)) and _is_of(path, augmenters)]
    causes = {path: _first_causes(results, path) for path in missing}
    first = dict.fromkeys(cause for found in causes.values() for cause in found)
    followed = {cause for path, found in causes.items() for cause in found if path != cause}
    return [_sentence(results, cause, cause in followed) for cause in first]


def _is_of(path: str, augmenters: Collection[str] | None) -> bool:
    if augmenters is None:
        return True
    _, *parts = parts_of(path)  # none for a dataset
    named = Arm.parse(parts[1]).augmenter if stage_of(path) == "utility" else next(iter(parts), None)
    return named in augmenters


def _sentence(results: StudyResults, path: str, has_followers: bool) -> str:
    follows = ", and what follows from it" if has_followers else ""
    log = _log(results, path)
    if path in results.damaged:
        run = shlex.quote(str(results.folder))
        return f"Missing: {_described(path)}{follows}: it is damaged; medbench verify {run} says how to remove it"
    there = (results.folder / path).exists()
    why = "was made with another config and not made again" if there else _why_missing(results.folder / log)
    return f"Missing: {_described(path)}{follows}: it {why}; see {log}"


def _why_missing(log: Path) -> str:
    """By the last line of its job's log, where the job failed."""
    found = read_log(log)
    if found is None or found.end is not End.FAILED:
        return "failed or has not run yet"
    return f"failed ({found.message})"


def _log(results: StudyResults, path: str) -> str:
    """Of the job to look into: a dataset that was not even prepared could not be audited."""
    if stage_of(path) == "audit" and not (results.folder / path).with_suffix(".raw.npz").exists():
        return log_of(RAW.path(parts_of(path)[0]))
    return log_of(path)


def _first_causes(results: StudyResults, path: str) -> list[str]:
    """The missing files that `path` needs and that lack nothing themselves: `path`, if it needs no other."""
    missing = [needed for needed in results.made_from(path) if not results.present(needed)]
    found = [cause for needed in missing for cause in _first_causes(results, needed)]
    return list(dict.fromkeys(found)) or [path]


def _described(path: str) -> str:
    """utility/ct/steps/real+x@1/seed0.json -> utility of ct, real+x@1, seed0"""
    product, (dataset, *parts) = job_of(path).product, parts_of(path)
    if product.stage == "utility":
        budget, arm, origin = parts
        epochs = ["budget epochs"] if budget == "epochs" else []  # the other one needs no word
        parts = [arm, *([origin] if origin != "real" else []), *epochs]
    return f"dataset {dataset}" if not parts else f"{product.noun} of {', '.join([dataset, *parts])}"


def require_same_config(results: StudyResults) -> None:
    """Refuses results that do not belong together; a partial reading takes the others as missing instead.

    Raises:
        UserError: a file of the study carries another `made_with` than this config's, or none; the stages are named.
    """
    differing: dict[str, list[str]] = {}
    for path in [] if results.partial else results.stale:
        differing.setdefault(stage_of(path), []).append("/".join(parts_of(path)))
    if differing:
        stages = [f"{stage} ({_first_of(differing[stage])})" for stage in STAGES if stage in differing]
        raise UserError(
            f"{results.folder}: was made with another config: {', '.join(stages)} {_verb(differing)}; run snakemake"
            " again to remake them, or give the run another `name:`"
        )


def _first_of(paths: list[str]) -> str:
    return paths[0] + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


def _verb(differing: Mapping[str, list[str]]) -> str:
    return "differs" if sum(map(len, differing.values())) == 1 else "differ"
