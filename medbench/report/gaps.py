"""What a run folder lacks, and what in it was made with another config."""

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from safetensors import SafetensorError, safe_open

from medbench.arms import Arm
from medbench.errors import UserError
from medbench.files import read_json
from medbench.report.results import StudyResults

MISSING = "missing"
# First folder of a path under the run -> the stage that writes it, and its product as a reader calls it.
STAGES = {
    "datasets": ("prepare", "dataset"),
    "models": ("train", "model"),
    "samples": ("sample", "samples"),
    "features": ("features", "features"),
    "fidelity": ("fidelity", "fidelity"),
    "utility": ("utility", "utility"),
}


def runs_text(there: int, wanted: int) -> str:
    """What stands behind a row's name where only some of its runs are there.

    >>> runs_text(2, 3), runs_text(3, 3), runs_text(0, 3)
    (' (2 of 3 runs)', '', '')
    """
    return f" ({there} of {wanted} runs)" if 0 < there < wanted else ""


def gap_sentences(results: StudyResults, stage: str | None = None) -> list[str]:
    """A sentence for each thing that is missing though nothing that it is made from is.

    Args:
        results: what a study left.
        stage: only what keeps files of this stage from being there; None: of any stage.
    """
    missing = [path for path in results.gaps if stage in (None, _stage(path))]
    causes = {path: _first_causes(results.folder, path) for path in missing}
    first = dict.fromkeys(cause for found in causes.values() for cause in found)
    return [_sentence(cause, any(cause in found for path, found in causes.items() if path != cause)) for cause in first]


def _sentence(path: str, has_followers: bool) -> str:
    follows = ", and what follows from it" if has_followers else ""
    return f"Missing: {_described(path)}{follows}: it failed or has not run yet; see {log_of(path)}"


def log_of(path: str) -> str:
    """The log of the job that writes a file; both paths lie under the run folder.

    >>> log_of("models/ct/annotated_l2/seed0/medbench.json")
    'logs/train/ct-annotated_l2-seed0.log'
    """
    return f"logs/{_stage(path)}/{'-'.join(_parts(path))}.log"


def _first_causes(run: Path, path: str) -> list[str]:
    """The missing files that `path` needs and that lack nothing themselves: `path`, if it needs no other."""
    missing = [needed for needed in _made_from(path) if not (run / needed).exists()]
    found = [cause for needed in missing for cause in _first_causes(run, needed)]
    return list(dict.fromkeys(found)) or [path]


def _made_from(path: str) -> list[str]:
    folder, parts = PurePosixPath(path).parts[0], _parts(path)
    dataset, below = f"datasets/{parts[0]}.json", "/".join(parts)
    match folder:
        case "models":
            return [dataset]
        case "samples":
            return [f"models/{below}/medbench.json"]
        case "features":  # of a split, or of generated images
            return [dataset] if len(parts) == 2 else [f"samples/{below}.npz"]
        case "fidelity":
            real = [f"features/{parts[0]}/{split}.safetensors" for split in ("train", "test")]
            return [*real, f"features/{below}.safetensors"]
        case "utility":
            augmenter = Arm.parse(parts[2]).augmenter
            return [dataset, *([f"samples/{parts[0]}/{augmenter}/{parts[3]}.npz"] if augmenter else [])]
        case _:
            return []


def _described(path: str) -> str:
    """utility/ct/steps/real+x@1/seed0.json -> utility of ct, real+x@1, seed0"""
    folder, (dataset, *parts) = PurePosixPath(path).parts[0], _parts(path)
    product = STAGES[folder][1]
    if folder == "utility":
        budget, arm, origin = parts
        epochs = ["budget epochs"] if budget == "epochs" else []  # the other one needs no word
        parts = [arm, *([origin] if origin != "real" else []), *epochs]
    return f"{product} {dataset}" if folder == "datasets" else f"{product} of {', '.join([dataset, *parts])}"


def _stage(path: str) -> str:
    return STAGES[PurePosixPath(path).parts[0]][0]


def _parts(path: str) -> list[str]:
    """Dataset, augmenter, seed ...: models/ct/annotated_l2/seed0/medbench.json -> ct, annotated_l2, seed0"""
    whole = PurePosixPath(path)
    named = whole.parent if whole.parts[0] == "models" else whole.with_suffix("")
    return list(named.parts[1:])


# Another config -------------------------------------------------------------------------------------------------


def require_same_config(results: StudyResults) -> None:
    """Refuses to put numbers side by side that another config asked for.

    Raises:
        UserError: a file of the study carries another `made_with` than this config's, or none; the stages are named.
    """
    differing: dict[str, list[str]] = {}
    for path, wanted in results.expected.items():
        if (results.folder / path).exists() and made_with(results.folder / path) != wanted:
            differing.setdefault(_stage(path), []).append("/".join(_parts(path)))
    if differing:
        stages = [f"{stage} ({_first_of(differing[stage])})" for stage, _ in STAGES.values() if stage in differing]
        raise UserError(
            f"{results.folder}: was made with another config: {', '.join(stages)} {_verb(differing)}; run snakemake"
            " again to remake them, or give the run another `name:`"
        )


def made_with(path: Path) -> str | None:
    """The hash of the section that a file of results was made with; None where it carries none.

    Raises:
        UserError: the file cannot be read.
    """
    read = {".npz": _in_npz, ".safetensors": _in_safetensors}.get(path.suffix, _in_json)
    return read(path)


def _in_json(path: Path) -> str | None:
    content = read_json(path)
    return content.get("made_with") if isinstance(content, Mapping) else None


def _in_npz(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path):  # np.load would take other kinds of file as well
            pass
        with np.load(path, allow_pickle=False) as archive:  # reads an array only when asked for it
            return str(archive["made_with"].item()) if "made_with" in archive.files else None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: is not a readable npz file ({error}); remove it and run again") from error


def _in_safetensors(path: Path) -> str | None:
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            return json.loads(metadata.get("medbench", "{}")).get("made_with")
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{path}: is not a readable feature file ({error}); remove it and run again") from error


def _first_of(paths: list[str]) -> str:
    return paths[0] + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


def _verb(differing: Mapping[str, list[str]]) -> str:
    return "differs" if sum(map(len, differing.values())) == 1 else "differ"
