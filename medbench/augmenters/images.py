"""Ready images, made by any outside tool: an npz, or one folder per class."""

from pathlib import Path

import numpy as np
from PIL import ImageOps
from tqdm import tqdm

from medbench.augmenters.base import ImageSpec, Job, LogRows, Samples
from medbench.augmenters.checked_calls import wrong_images
from medbench.augmenters.image_sections import Images
from medbench.augmenters.stored_images import StoredImages
from medbench.core.errors import UserError, spelled_shape
from medbench.data.dataset import Split
from medbench.data.folders import Item, key_of, list_folder, require_most_read
from medbench.data.images import RESAMPLE, ImageError, decode, to_channels
from medbench.run.formats import read_npz


class ImagesAugmenter(StoredImages[Images]):
    """Hands out its images in the order of the file, or of the files' names, none twice."""

    def fit(self, train: Split, val: Split, job: Job) -> LogRows:
        """Reads the npz or folder at job.given. Raises UserError where it does not fit the dataset."""
        path = job.given or Path(self.section.path)
        if path.is_dir():
            self.images, self.labels = _read_folder(path, self.spec)
        elif path.exists():
            self.images, self.labels = _read_npz(path, self.spec)
        else:
            raise UserError(
                f"{path}: no such file or folder (expected an npz with images and labels, or one folder per class, e.g."
                f" {path / self.spec.classes[0] / '*.png'})"
            )
        return []

    def sample(self, labels: np.ndarray, job: Job) -> Samples:
        rows = np.empty(len(labels), dtype=np.int64)
        for label in np.unique(labels):
            wanted, available = np.flatnonzero(labels == label), np.flatnonzero(self.labels == label)
            if len(available) < len(wanted):
                raise UserError(
                    f"{job.title}: {self.section.path} holds {len(available)} images of class"
                    f" {self.spec.classes[label]}, {len(wanted)} are needed; add images, or lower"
                    " fidelity.n_generated or the ratios of the arms"
                )
            rows[wanted] = available[: len(wanted)]
        return Samples(self.images[rows], labels)


def _read_npz(path: Path, spec: ImageSpec) -> tuple[np.ndarray, np.ndarray]:
    arrays = read_npz(path)
    if not {"images", "labels"} <= set(arrays):
        raise UserError(f"{path}: holds {', '.join(arrays) or 'nothing'}; expected the arrays images and labels")
    images, labels = arrays["images"], arrays["labels"]
    problem = wrong_images(images, spec.shape)
    if problem:
        raise UserError(f"{path}: holds {problem}; save them so")
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise UserError(
            f"{path}: labels are {labels.dtype} of shape {spelled_shape(labels.shape)}; expected an integer for each of"
            f" the {len(images)} images"
        )
    unknown = labels[(labels < 0) | (labels >= len(spec.classes))]
    if len(unknown):
        known = ", ".join(f"{label} ({name})" for label, name in enumerate(spec.classes))
        raise UserError(f"{path}: holds the label {unknown[0]}, but those of the dataset are {known}")
    return images, labels.astype(np.int64)


def _read_folder(root: Path, spec: ImageSpec) -> tuple[np.ndarray, np.ndarray]:
    listing = list_folder(root)
    items, folders = listing.items, listing.classes
    require_most_read(str(root), listing.unread, len(items))
    number = {key_of(name): label for label, name in enumerate(spec.classes)}
    unknown = [name for name in folders if key_of(name) not in number]
    if unknown or any(item.split for item in items):
        wrong = f"the folder {unknown[0]!r}" if unknown else "folders of splits"
        classes = ", ".join(spec.classes)
        raise UserError(f"{root}: has {wrong}; expected a folder for each class of the dataset: {classes}")
    missing = [name for name in spec.classes if key_of(name) not in map(key_of, folders)]
    if missing:
        raise UserError(f"{root}: has no folder for class {missing[0]} (expected {root / missing[0] / '*.png'})")
    images = [_read_image(root, item, spec) for item in tqdm(items, f"reading {root.name}", unit="image", disable=None)]
    labels = np.array([number[key_of(item.label)] for item in items], dtype=np.int64)
    return np.array(images, dtype=np.uint8).reshape(-1, *spec.shape), labels


def _read_image(root: Path, item: Item, spec: ImageSpec) -> np.ndarray:
    """(H, W) or (H, W, 3): as a dataset of kind folder is read, aspect kept, padded with black."""
    try:
        picture = decode(root / item.name)
    except ImageError as error:
        raise UserError(f"{root / item.name}: {error}; mend or remove it") from error
    if picture.deep:
        raise UserError(f"{root / item.name}: has more than 8 bits per pixel; save it with 8")
    image = to_channels(picture.image, 1 if spec.channels == 1 else 3)
    height, width = spec.size
    return np.asarray(ImageOps.pad(image, (width, height), RESAMPLE, color=0))
