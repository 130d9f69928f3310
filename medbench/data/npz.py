"""A user's npz in MedMNIST's layout: `<split>_images`, `<split>_labels` and, optionally, `<split>_groups`."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS, Patients, Split, SplitName
from medbench.data.digest import origins_of
from medbench.data.images import (
    Window,
    channels_note,
    convert_all,
    eight_bits,
    extent,
    outside,
    resize_note,
    window_note,
    window_of,
)
from medbench.data.prepare import Source
from medbench.data.sections import NpzDataset
from medbench.run.files import sha256_of
from medbench.run.sealed_files import read_npz

LAYOUT = "expected MedMNIST's layout: train_images, train_labels, val_images, val_labels, test_images, test_labels"

TYPES = (np.uint8, np.uint16, np.int16)

Arrays = Mapping[str, np.ndarray]
Labels = Mapping[SplitName, np.ndarray]


def load_npz(section: NpzDataset, seed: int) -> Source:
    """Reads and checks the file; nothing in it is drawn, so the seed plays no part.

    Raises:
        UserError: no such file, another hash, or an array that is not what the layout says, by file and key.
    """
    path = Path(section.path)
    sha256 = _verified(path, section.sha256)
    return from_arrays(section, read_npz(path), sha256)


def from_arrays(section: NpzDataset, arrays: Arrays, sha256: str) -> Source:
    """Checks and converts the arrays of a file in MedMNIST's layout.

    Raises:
        UserError: an array that is not what the layout says, by file and key.
    """
    path = Path(section.path)
    arrays = {key: _without_lone_channel(array) if key.endswith("_images") else array for key, array in arrays.items()}
    _check_images(path, arrays)
    arrays, window, window_notes = _windowed(section, arrays)
    labels = {name: _labels(path, arrays, name) for name in SPLITS}
    classes = [name for name in section.classes or [] if isinstance(name, str)] or None  # pairs rename the labels later
    _check_range(path, labels, classes)
    groups = _groups(path, arrays, labels)
    splits: dict[SplitName, Split] = {}
    for name in SPLITS:
        stored = arrays[f"{name}_images"]
        images = convert_all(stored, section.image_size, section.fit, section.channels)
        origins = origins_of(stored, [f"{name} {row}" for row in range(len(stored))])
        splits[name] = Split(images, labels[name], groups[name], origins)
    return Source(
        splits,
        classes or _numbered(path, labels),
        where=section.path,
        origin=f"npz file {path.name}",
        sha256=sha256,
        patients=_patients(groups),
        window=window,
        notes=window_notes + _notes(section, arrays["train_images"]),
    )


def _without_lone_channel(images: np.ndarray) -> np.ndarray:
    """(N, H, W, 1), as many libraries store gray images -> (N, H, W)."""
    return images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images


def _verified(path: Path, expected: str | None) -> str:
    if not path.is_file():
        raise UserError(f"{path}: no such file (expected an npz in MedMNIST's layout)")
    actual = sha256_of(path)
    if expected is not None and actual != expected:
        raise UserError(f"{path}: sha256 is {actual}, expected {expected}; fetch the file again or correct the hash")
    return actual


def _check_images(path: Path, arrays: Arrays) -> None:
    missing = [f"{name}_{what}" for name in SPLITS for what in ("images", "labels") if f"{name}_{what}" not in arrays]
    if missing:
        raise UserError(f"{path}: lacks {', '.join(missing)} (found {', '.join(arrays) or 'nothing'}; {LAYOUT})")
    first = arrays["train_images"]
    for name in SPLITS:
        key, images = f"{name}_images", arrays[f"{name}_images"]
        if images.dtype not in TYPES:
            raise UserError(f"{path}: {key} is {images.dtype}, expected uint8 (0 to 255), uint16 or int16")
        if images.dtype != np.uint8 and images.ndim == 4:
            raise UserError(f"{path}: {key} has {images.dtype} in each channel; save colour as uint8 (0 to 255)")
        if not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)):
            raise UserError(f"{path}: {key} has shape {images.shape}, expected (N, H, W) or (N, H, W, 3)")
        if images.size == 0:
            raise UserError(f"{path}: {key} is empty, shape {images.shape}; every split needs images")
        if images.shape[1:] != first.shape[1:]:
            raise UserError(
                f"{path}: {key} holds images of shape {images.shape[1:]}, expected {first.shape[1:]} as in train_images"
            )


def _windowed(section: NpzDataset, arrays: Arrays) -> tuple[Arrays, Window | None, list[str]]:
    """The arrays with images uint8; the window, where one was used, and a note on it."""
    stored = {name: arrays[f"{name}_images"] for name in SPLITS}
    window, what = section.window, "set in the config"
    if window and stored["train"].ndim == 4:
        raise UserError(f"{section.path}: window is for gray images, and these are colour; leave window out")
    if window is None and all(images.dtype == np.uint8 for images in stored.values()):
        return arrays, None, []
    if len({images.dtype for images in stored.values()}) > 1:
        raise UserError(f"{section.path}: the images of its splits differ in type; save all with as many bits")
    if window is None:
        window, what = window_of([extent(image) for image in stored["train"]])
    counts: Counter[str] = Counter()
    shown = {}
    for name, images in stored.items():
        shown[f"{name}_images"] = np.empty(images.shape, dtype=np.uint8)
        for row, image in enumerate(images):  # one by one: floats of all would take eight times their memory
            shown[f"{name}_images"][row] = eight_bits(image, window)
            counts.update(images=1, pixels=image.size, outside=outside(image, window))
    return {**arrays, **shown}, window, [window_note(window, what, counts)]


def _labels(path: Path, arrays: Arrays, name: SplitName) -> np.ndarray:
    """Labels (N,) int64 of a split, stored as (N,) or (N, 1)."""
    key, labels, n = f"{name}_labels", arrays[f"{name}_labels"], len(arrays[f"{name}_images"])
    if labels.dtype.kind not in "iu":
        raise UserError(f"{path}: {key} is {labels.dtype}, expected integers")
    if labels.ndim == 2 and labels.shape[1] > 1:
        raise UserError(f"{path}: {key} has shape {labels.shape}: several labels per image are not supported yet")
    if labels.ndim not in (1, 2) or labels.size != len(labels):
        raise UserError(f"{path}: {key} has shape {labels.shape}, expected (N,) or (N, 1)")
    if len(labels) != n:
        raise UserError(f"{path}: {key} has {len(labels)} labels, expected {n}, one for each of {name}_images")
    return labels.reshape(-1).astype(np.int64)


def _check_range(path: Path, labels: Labels, classes: list[str] | None) -> None:
    """With named classes, labels are 0 to K - 1; without names, at least not negative."""
    for name in SPLITS:
        if classes is None and labels[name].min() < 0:
            raise UserError(f"{path}: {name}_labels holds label {labels[name].min()}, expected 0 or more")
        if classes is not None and not 0 <= labels[name].min() <= labels[name].max() < len(classes):
            raise UserError(
                f"{path}: {name}_labels holds labels {labels[name].min()} to {labels[name].max()}, expected"
                f" 0 to {len(classes) - 1} for the {len(classes)} classes {', '.join(classes)}"
            )


def _numbered(path: Path, labels: Labels) -> list[str]:
    """Class names "0" to "K - 1" from labels that use each of these: one stray large label must not make a huge K."""
    present = np.unique(np.concatenate([labels[name] for name in SPLITS]))
    expected = np.arange(len(present))
    if not np.array_equal(present, expected):
        gap = expected[present != expected][0]
        raise UserError(
            f"{path}: labels go up to {present[-1]} but none is {gap}: class {gap} is empty; number the classes from 0"
            " without gaps, or name them in classes"
        )
    return [str(label) for label in expected]


def _groups(path: Path, arrays: Arrays, labels: Labels) -> dict[SplitName, np.ndarray]:
    """Group numbers (N,) int64, one numbering over the splits; without groups in the file, each image is its own."""
    counts = [len(labels[name]) for name in SPLITS]
    numbers = np.arange(sum(counts))
    keys = [f"{name}_groups" for name in SPLITS]
    if any(key in arrays for key in keys):
        for key, count in zip(keys, counts, strict=True):
            _check_group_array(path, key, arrays.get(key), count)
        numbers = np.unique(np.concatenate([arrays[key] for key in keys]), return_inverse=True)[1]
    return dict(zip(SPLITS, np.split(numbers, np.cumsum(counts)[:-1]), strict=True))


def _patients(groups: Mapping[SplitName, np.ndarray]) -> Patients:
    """Unknown also where each group has one image: what medbench writes of a set without patients looks the same."""
    return "known" if np.unique(np.concatenate(list(groups.values())), return_counts=True)[1].max() > 1 else "unknown"


def _check_group_array(path: Path, key: str, groups: np.ndarray | None, count: int) -> None:
    if groups is None:
        raise UserError(f"{path}: lacks {key} although other splits have groups; give groups for all splits or none")
    if groups.shape != (count,) or groups.dtype.kind not in "iuU":
        raise UserError(
            f"{path}: {key} is {groups.dtype} of shape {groups.shape}, expected integers or strings of shape ({count},)"
        )


def _notes(section: NpzDataset, images: np.ndarray) -> list[str]:
    notes = channels_note({1 if images.ndim == 3 else 3}, section.channels)
    if section.image_size is not None:
        notes += resize_note({images.shape[2]}, {images.shape[1]}, section.image_size, section.fit)
    return notes
