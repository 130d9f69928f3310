"""Files in MedMNIST's layout: `<split>_images`, `<split>_labels` and, optionally, `<split>_groups`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medbench.core.errors import UserError, first_problem, naming
from medbench.data.dataset import SPLITS, SplitName
from medbench.data.fetched import fetched
from medbench.data.images import Window, Windowing, extent, window_of
from medbench.data.prepare import Source, conversion_notes, converted
from medbench.data.published import Facts
from medbench.data.sections import DatasetSection, MedMnistDataset, NpzDataset
from medbench.run.files import sha256_of
from medbench.run.formats import read_npz

LAYOUT = "expected MedMNIST's layout: train_images, train_labels, val_images, val_labels, test_images, test_labels"

TYPES = (np.uint8, np.uint16, np.int16)

Arrays = Mapping[SplitName, np.ndarray]


def load_npz(section: NpzDataset, seed: int) -> Source:
    """A user's own file; nothing in it is drawn, so the seed plays no part."""
    path = Path(section.path)
    if not path.is_file():
        raise UserError(f"{path}: no such file (expected an npz in MedMNIST's layout)")
    sha256 = sha256_of(path)
    if section.sha256 not in (None, sha256):
        raise UserError(
            f"{path}: sha256 is {sha256}, expected {section.sha256}; fetch the file again or correct the hash"
        )
    classes = [name for name in section.classes or [] if isinstance(name, str)]  # pairs rename the labels later
    return _read(section, path, read_npz(path), sha256, classes, section.window)


def load_medmnist(section: MedMnistDataset, seed: int) -> Source:
    """A published set; of several labels per image none is kept: only unconditional augmenters may use such a set."""
    facts = section.facts
    record = fetched(facts.remote)
    arrays, classes = read_npz(facts.remote.path), list(facts.classes)
    present = {(split, ""): len(arrays.get(f"{split}_images", ())) for split in SPLITS}
    accepted = facts.differences(present, record.differs, section.accept == "changed")
    notes = [f"MedMNIST v3, task {facts.task}"]
    if section.several_labels:
        notes.append(_several_labels(arrays, facts))
        arrays |= {f"{name}_labels": np.zeros((len(arrays[f"{name}_images"]), 1), np.int64) for name in SPLITS}
        classes = ["any"]
    source = _read(section, facts.remote.path, arrays, record.sha256, classes)
    return source.known(facts, accepted, notes)


def _several_labels(arrays: dict[str, np.ndarray], facts: Facts) -> str:
    labels = arrays.get("train_labels", np.empty((0, 0)))
    if labels.ndim != 2 or labels.shape[1] != len(facts.classes):
        raise UserError(
            f"{facts.remote.path}: train_labels has shape {labels.shape}, expected (N, {len(facts.classes)})"
        )
    positive = ", ".join(f"{cls} {n}" for cls, n in zip(facts.classes, (labels > 0).sum(0).tolist(), strict=True))
    return f"several labels per image, left out: training images with each were {positive}"


def _read(
    section: DatasetSection,
    path: Path,
    arrays: Mapping[str, np.ndarray],
    sha256: str,
    classes: list[str],
    window: Window | None = None,
) -> Source:
    """Checks and converts the arrays of a file in MedMNIST's layout; without names, classes are called by number.

    Raises:
        UserError: an array that is not what the layout says, by file and key.
    """
    with naming(path):
        windowing, images = _windowed(_images(arrays), window)
        labels = {name: _labels(name, arrays[f"{name}_labels"], len(images[name])) for name in SPLITS}
        names = _class_names(labels, classes)
        groups = _groups(arrays, labels)
    height, width = images["train"].shape[1:3]
    notes = [windowing.note] if windowing else []
    # Unknown also where each group has one image: what medbench writes of a set without patients looks the same.
    several = np.unique(np.concatenate(list(groups.values())), return_counts=True)[1].max() > 1
    return Source(
        {name: converted(section, name, images[name], labels[name], groups[name]) for name in SPLITS},
        names,
        str(path),
        {
            "source": f"npz file {path.name}",
            "source_sha256": sha256,
            "patients": "known" if several else "unknown",
            "window": windowing.window if windowing else None,
            "notes": notes + conversion_notes(section, {1 if images["train"].ndim == 3 else 3}, {(width, height)}),
        },
    )


def _images(arrays: Mapping[str, np.ndarray]) -> Arrays:
    """The images of each split, (N, H, W) or (N, H, W, 3); many libraries store gray ones as (N, H, W, 1)."""
    missing = [f"{name}_{what}" for name in SPLITS for what in ("images", "labels") if f"{name}_{what}" not in arrays]
    if missing:
        raise UserError(f"lacks {', '.join(missing)} (found {', '.join(arrays) or 'nothing'}; {LAYOUT})")
    of_all = {name: arrays[f"{name}_images"] for name in SPLITS}
    of_all = {name: images[..., 0] if images.shape[3:] == (1,) else images for name, images in of_all.items()}
    first = of_all["train"].shape[1:]
    for name, images in of_all.items():
        shape, dtype = images.shape, images.dtype
        problems = {
            f"is {dtype}, expected uint8 (0 to 255), uint16 or int16": dtype not in TYPES,
            f"has {dtype} in each channel; save colour as uint8 (0 to 255)": dtype != np.uint8 and len(shape) == 4,
            f"has shape {shape}, expected (N, H, W) or (N, H, W, 3)": len(shape) != 3 and shape[3:] != (3,),
            f"is empty, shape {shape}; every split needs images": images.size == 0,
            f"holds images of shape {shape[1:]}, expected {first} as in train_images": shape[1:] != first,
        }
        if problem := first_problem(problems):
            raise UserError(f"{name}_images {problem}")
    return of_all


def _windowed(stored: Arrays, window: Window | None) -> tuple[Windowing | None, Arrays]:
    """The images as uint8, and their window where one was used."""
    if window and stored["train"].ndim == 4:
        raise UserError("window is for gray images, and these are colour; leave window out")
    types = {images.dtype for images in stored.values()}
    if window is None and types == {np.dtype(np.uint8)}:
        return None, stored
    if len(types) > 1:
        raise UserError("the images of its splits differ in type; save all with as many bits")
    windowing = Windowing(window) if window else Windowing(*window_of([extent(image) for image in stored["train"]]))
    shown = {name: np.empty(images.shape, dtype=np.uint8) for name, images in stored.items()}
    for name, images in stored.items():
        for row, image in enumerate(images):  # one by one: floats of all would take eight times their memory
            shown[name][row] = windowing.show(image)
    return windowing, shown


def _labels(name: SplitName, labels: np.ndarray, n: int) -> np.ndarray:
    """Labels (N,) int64 of a split, stored as (N,) or (N, 1)."""
    shape = labels.shape
    problems = {
        f"is {labels.dtype}, expected integers": labels.dtype.kind not in "iu",
        f"has shape {shape}: several labels per image are not supported yet": len(shape) == 2 and shape[1] > 1,
        f"has shape {shape}, expected (N,) or (N, 1)": len(shape) not in (1, 2) or labels.size != len(labels),
        f"has {labels.size} labels, expected {n}, one for each of {name}_images": labels.size != n,
    }
    if problem := first_problem(problems):
        raise UserError(f"{name}_labels {problem}")
    return labels.reshape(-1).astype(np.int64)


def _class_names(of_all: Arrays, classes: list[str]) -> list[str]:
    """Named classes, for labels 0 to K - 1; else "0" to "K - 1", where each is used: no stray large label makes a K."""
    for name, labels in of_all.items():
        low, high = labels.min(), labels.max()
        if not classes and low < 0:
            raise UserError(f"{name}_labels holds label {low}, expected 0 or more")
        if classes and not 0 <= low <= high < len(classes):
            raise UserError(
                f"{name}_labels holds labels {low} to {high}, expected 0 to {len(classes) - 1} for the"
                f" {len(classes)} classes {', '.join(classes)}"
            )
    present = np.unique(np.concatenate(list(of_all.values())))
    expected = np.arange(len(present))
    if not (classes or np.array_equal(present, expected)):
        gap = expected[present != expected][0]
        raise UserError(
            f"labels go up to {present[-1]} but none is {gap}: class {gap} is empty; number the classes from 0"
            " without gaps, or name them in classes"
        )
    return classes or [str(label) for label in expected]


def _groups(arrays: Mapping[str, np.ndarray], labels: Arrays) -> Arrays:
    """Group numbers (N,) int64, one numbering over the splits; without groups in the file, each image is its own."""
    counts = [len(labels[name]) for name in SPLITS]
    numbers, keys = np.arange(sum(counts)), [f"{name}_groups" for name in SPLITS]
    if any(key in arrays for key in keys):
        for key, count in zip(keys, counts, strict=True):
            if key not in arrays:
                raise UserError(f"lacks {key} although other splits have groups; give groups for all splits or none")
            groups = arrays[key]
            if groups.shape != (count,) or groups.dtype.kind not in "iuU":
                raise UserError(
                    f"{key} is {groups.dtype} of shape {groups.shape}, expected integers or strings of shape ({count},)"
                )
        numbers = np.unique(np.concatenate([arrays[key] for key in keys]), return_inverse=True)[1]
    return dict(zip(SPLITS, np.split(numbers, np.cumsum(counts)[:-1]), strict=True))
