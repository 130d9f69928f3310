"""What is known of published sets: of archives by a file beside this one, of MedMNIST v3 by the medmnist package."""

import importlib.util
import runpy
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from medbench.core.errors import UserError
from medbench.data.published import Facts, Remote

MedMnistName = Literal[
    "pathmnist",
    "chestmnist",
    "dermamnist",
    "octmnist",
    "pneumoniamnist",
    "retinamnist",
    "breastmnist",
    "bloodmnist",
    "tissuemnist",
    "organamnist",
    "organcmnist",
    "organsmnist",
]
SIZES = (28, 64, 128, 224)
MULTI_LABEL = "multi-label, binary-class"
# Tissue and cells have no sides, and a mirrored eye or breast is the other one. A chest or an abdomen is not mirrored.
MIRRORED = {"pathmnist", "dermamnist", "octmnist", "retinamnist", "breastmnist", "bloodmnist", "tissuemnist"}
# How a slide was stained says nothing of the tissue (Tellez et al. 2019). Cells, skin and eyes are told by colour too.
RECOLOURED = {"pathmnist"}
MEDMNIST = "Yang et al. 2023 (MedMNIST v2), doi 10.1038/s41597-022-01721-8; files of v3, doi 10.5281/zenodo.10519652"

ARCHIVES = {
    name: Facts(name=name, **facts)
    for name, facts in yaml.safe_load(Path(__file__).with_name("archives.yaml").read_text(encoding="utf-8")).items()
}


@cache
def _info() -> dict[str, Any]:
    """medmnist.INFO, without the package's own imports, which take seconds."""
    package = importlib.util.find_spec("medmnist")
    if package is None or package.origin is None:
        raise UserError("the package medmnist is not installed (pip install medmnist)")
    return dict(runpy.run_path(str(Path(package.origin).with_name("info.py")))["INFO"])


@cache
def medmnist_facts(name: str, size: int) -> Facts:
    """Of a 2-D set (Yang et al. 2023) at one size (side in pixels): address, md5, labels and licence."""
    info, suffix = _info()[name], "" if size == 28 else f"_{size}"
    url = info[f"url{suffix}"]
    labels, licence = info["label"], info["license"]
    restricted = "NC" in licence
    return Facts(
        name=name,
        section=f"{{kind: medmnist, name: {name}, size: {size}{f', accept_licence: {licence}' if restricted else ''}}}",
        title=info["python_class"],
        task=info["task"],
        classes=tuple(labels[str(label)] for label in range(len(labels))),
        remote=Remote(
            source="medmnist",
            file=f"{name}{suffix}.npz",
            urls=(url,),
            hash=f"md5:{info[f'MD5{suffix}']}",
            page="https://zenodo.org/records/10519652",
        ),
        licence=licence,
        citation=MEDMNIST,
        counts={split: {"": count} for split, count in info["n_samples"].items()},
        channels=info["n_channels"],
        sizes=f"{size}",
        horizontal_flip=name in MIRRORED,
        hue_shift=name in RECOLOURED,
        restricted=restricted,
    )
