"""A set of MedMNIST: the downloaded npz, with what the medmnist package says of it."""

from dataclasses import replace

import numpy as np

from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS
from medbench.data.fetched import fetched
from medbench.data.known.medmnist import MULTI_LABEL
from medbench.data.npz import from_arrays
from medbench.data.prepare import Source
from medbench.data.published import Facts
from medbench.data.sections import MedMnistDataset
from medbench.run.formats import read_npz


def load_medmnist(section: MedMnistDataset, seed: int) -> Source:
    """Reads a set; of several labels per image none is kept, as only unconditional augmenters may use such a set."""
    facts = section.facts
    record = fetched(facts.remote)
    arrays, classes = read_npz(facts.remote.path), list(facts.classes)
    present = {(split, ""): len(arrays.get(f"{split}_images", ())) for split in SPLITS}
    accepted = facts.differences(present, record.differs, section.accept == "changed")
    notes = [f"MedMNIST v3, task {facts.task}"]
    if facts.task == MULTI_LABEL:
        notes.append(_several_labels(arrays, facts))
        arrays |= {f"{name}_labels": np.zeros((len(arrays[f"{name}_images"]), 1), np.int64) for name in SPLITS}
        classes = ["any"]
    source = from_arrays(section, facts.remote.path, arrays, record.sha256, classes)
    return replace(
        source.with_facts(facts),
        origin=f"{facts.title} ({facts.remote.file})",
        accepted=accepted,
        notes=notes + source.notes,
    )


def _several_labels(arrays: dict[str, np.ndarray], facts: Facts) -> str:
    labels = arrays.get("train_labels", np.empty((0, 0)))
    if labels.ndim != 2 or labels.shape[1] != len(facts.classes):
        raise UserError(
            f"{facts.remote.path}: train_labels has shape {labels.shape}, expected (N, {len(facts.classes)})"
        )
    positive = ", ".join(f"{cls} {n}" for cls, n in zip(facts.classes, (labels > 0).sum(0).tolist(), strict=True))
    return f"several labels per image, left out: training images with each were {positive}"
