"""The files of a run folder, named by their paths under it: who writes each, from what, and for which config."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from medbench.core.arms import Arm

# In the order of the pipeline.
STAGES = (
    "fetch",
    "prepare",
    "audit",
    "audit_page",
    "train",
    "sample",
    "features",
    "fidelity",
    "neighbours",
    "neighbours_page",
    "utility",
    "tables",
    "figures",
    "report",
)


@dataclass(frozen=True)
class Product:
    """What one kind of job writes."""

    stage: str
    noun: str  # as a reader calls it
    endings: tuple[str, ...] = ()  # of files that must lie side by side
    folder_depth: int | None = None  # names in the path of a folder that one job writes as a whole


# By the first folder of a path under the run.
PRODUCTS = {
    "datasets": Product("audit", "dataset", endings=(".npz", ".json")),
    "models": Product("train", "model", folder_depth=4),
    "samples": Product("sample", "samples"),
    "features": Product("features", "features"),
    "fidelity": Product("fidelity", "fidelity"),
    "utility": Product("utility", "utility", endings=(".json", ".npz")),
    "tables": Product("tables", "tables", folder_depth=2),
    "figures": Product("figures", "figures", folder_depth=2),
}


def raw_card(dataset: str) -> str:
    """The card of a prepared dataset, which the audit reads."""
    return f"datasets/{dataset}.raw.json"


def stage_of(path: str) -> str:
    return "prepare" if _is_raw(path) else PRODUCTS[PurePosixPath(path).parts[0]].stage


def parts_of(path: str) -> list[str]:
    """Dataset, augmenter, seed ...: models/ct/annotated_l2/seed0/medbench.json -> ct, annotated_l2, seed0"""
    file = PurePosixPath(path)
    product = file.parent if file.parts[0] == "models" else file.with_suffix("")
    return [product.stem] if _is_raw(path) else list(product.parts[1:])


def _is_raw(path: str) -> bool:
    file = PurePosixPath(path)
    return file.parts[0] == "datasets" and file.stem.endswith(".raw")


def companions(path: str) -> tuple[str, ...]:
    """The files that must be there with a file, itself left out.

    >>> companions("datasets/ct.raw.json")
    ('datasets/ct.raw.npz',)
    """
    file = PurePosixPath(path)
    product = PRODUCTS.get(file.parts[0])
    if product is None or file.suffix not in product.endings:
        return ()
    return tuple(file.with_suffix(ending).as_posix() for ending in product.endings if ending != file.suffix)


def whole_folder(path: str) -> str | None:
    """The folder, written by one job, that a file lies in or that the path names itself; None: it is in none.

    >>> whole_folder("models/ct/vae/seed0/vae/config.json"), whole_folder("samples/ct/vae/seed0.npz")
    ('models/ct/vae/seed0', None)
    """
    parts = PurePosixPath(path).parts
    product = PRODUCTS.get(parts[0])
    depth = product.folder_depth if product else None
    return "/".join(parts[:depth]) if depth and len(parts) >= depth else None


def log_of(path: str) -> str:
    """The log of the job that writes a file.

    >>> log_of("models/ct/annotated_l2/seed0/medbench.json"), log_of(raw_card("ct"))
    ('logs/train/ct-annotated_l2-seed0.log', 'logs/prepare/ct.log')
    """
    return f"logs/{stage_of(path)}/{'-'.join(parts_of(path))}.log"


def real_features(dataset: str) -> list[str]:
    """Features of real images, which every generator of a dataset is measured against."""
    return [f"features/{dataset}/{split}.safetensors" for split in ("train", "test")]


def made_from(path: str, models: Mapping[str, str], first_stages: Mapping[str, str]) -> list[str]:
    """The files that the job behind `path` reads, without what comes from outside the run.

    Args:
        path: of a file under the run folder.
        models: augmenter -> the one whose model it samples, where that is another's.
        first_stages: augmenter -> the first stage that it uses.
    """
    folder, parts = PurePosixPath(path).parts[0], parts_of(path)
    dataset, below = f"datasets/{parts[0]}.json", "/".join(parts)
    match folder:
        case "models":
            # A study may list only an augmenter that samples this model, with the first stage that both have.
            first = {models.get(name, name): first for name, first in first_stages.items()}.get(parts[1])
            return [dataset, *([f"models/{parts[0]}/{first}/{parts[2]}/medbench.json"] if first else [])]
        case "samples":
            return [f"models/{parts[0]}/{models.get(parts[1], parts[1])}/{parts[2]}/medbench.json"]
        case "features":  # of a split, or of generated images
            return [dataset] if len(parts) == 2 else [f"samples/{below}.npz"]
        case "fidelity":
            return [*real_features(parts[0]), f"features/{below}.safetensors"]
        case "utility":
            augmenter = Arm.parse(parts[2]).augmenter
            generated = parts[3] != "real"  # an arm that mixes on the fly takes nobody's images
            return [dataset, *([f"samples/{parts[0]}/{augmenter}/{parts[3]}.npz"] if generated else [])]
        case _:
            return []
