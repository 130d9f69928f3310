"""What an augmenter returns is checked before it is used: another package's as well as ours.

Each function raises UserError where a plug-in raises, or returns something else than was asked for.
"""

import contextlib
import sys
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medbench.augmenters.base import UNLABELLED, Augmenter, ImageSpec, Job, LogRows, Samples
from medbench.augmenters.sections import AugmenterSection
from medbench.core.errors import Interrupted, UserError, spelled_shape
from medbench.data.dataset import Split


def built(cls: type[Augmenter[Any]], section: AugmenterSection, spec: ImageSpec, name: str) -> Augmenter[Any]:
    """An augmenter yet to be fitted; `name` is its entry in the config, for errors."""
    with _named_if_plugged_in(cls, section, name, "building it"):
        return cls(section, spec)


def fitted(augmenter: Augmenter[Any], train: Split, val: Split, job: Job, name: str) -> LogRows:
    """augmenter.fit: rows of training.csv."""
    with _named_if_plugged_in(type(augmenter), augmenter.section, name, "fit"):
        rows = augmenter.fit(train, val, job)
    if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
        wanted = "a list of rows for training.csv (an empty one where nothing is learned)"
        raise UserError(f"{_who(augmenter.section, name)}: fit returned {_typed(rows)}, not {wanted}")
    return rows


def sampled(augmenter: Augmenter[Any], labels: np.ndarray, job: Job, name: str) -> Samples:
    """augmenter.sample: one image per label (N,), of the dataset's size, channels and type."""
    with _named_if_plugged_in(type(augmenter), augmenter.section, name, "sample"):
        samples = augmenter.sample(labels.copy(), job)
    problem = _wrong_samples(samples, labels, augmenter)
    if problem:
        raise UserError(f"{_who(augmenter.section, name)}: sample returned {problem}")
    return replace(samples, labels=samples.labels.astype(np.int64))


def saved(augmenter: Augmenter[Any], folder: Path, name: str) -> None:
    """augmenter.save into a folder that exists."""
    folder.mkdir(parents=True, exist_ok=True)
    with _named_if_plugged_in(type(augmenter), augmenter.section, name, "save"):
        augmenter.save(folder)


def loaded(
    cls: type[Augmenter[Any]], section: AugmenterSection, spec: ImageSpec, folder: Path, name: str
) -> Augmenter[Any]:
    """cls.load."""
    with _named_if_plugged_in(cls, section, name, "load"):
        augmenter = cls.load(section, spec, folder)
    if not isinstance(augmenter, Augmenter):
        raise UserError(f"{_who(section, name)}: load returned {_typed(augmenter)}, not an augmenter")
    return augmenter


@contextlib.contextmanager
def _named_if_plugged_in(cls: type, section: AugmenterSection, name: str, verb: str) -> Iterator[None]:
    """Within the block an error of another package's code ends in one line that names the augmenter."""
    if cls.__module__.partition(".")[0] == "medbench":
        yield  # an error of our own is a bug, which a traceback should show
        return
    try:
        yield
    except (UserError, Interrupted):
        raise
    except Exception as error:  # whatever a stranger's code raises; its author finds the place in the traceback
        traceback.print_exc(file=sys.stderr)
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{_who(section, name)}: {verb} failed: {reason} (traceback above)") from error


def wrong_images(images: np.ndarray, shape: tuple[int, ...]) -> str | None:
    """What keeps images (N, ...) from being uint8 of a dataset's shape (H, W) or (H, W, 3); None if nothing does."""
    if images.dtype == np.uint8 and images.shape[1:] == shape:
        return None
    not_finite = images.dtype.kind == "f" and not np.isfinite(images).all()
    suffix = " with NaN or infinite values" if not_finite else ""
    got = f"{spelled_shape(images.shape[1:])} {images.dtype}{suffix}"
    return f"images of {got}, but those of the dataset are {spelled_shape(shape)} uint8"


def _wrong_samples(samples: Any, labels: np.ndarray, augmenter: Augmenter[Any]) -> str | None:
    if not isinstance(samples, Samples):
        return f"{_typed(samples)}, not medbench.augmenters.base.Samples"
    for key, array in samples.arrays().items():
        if not isinstance(array, np.ndarray):
            return f"{key} as {_typed(array)}, not a numpy array"
    if samples.images.shape[:1] != labels.shape:
        count = len(samples.images) if samples.images.ndim else 0
        return f"{count} images, {len(labels)} were asked for"
    problem = wrong_images(samples.images, augmenter.spec.shape)
    if problem:
        return problem
    got = samples.labels
    if got.shape != labels.shape or got.dtype.kind not in "iu":
        return f"labels {got.dtype} of shape {spelled_shape(got.shape)}; {len(labels)} integers were asked for"
    fits = (got == labels) | ((got == UNLABELLED) & (not augmenter.section.labelled))
    if not fits.all():
        row = int(np.argmin(fits))
        return f"image {row} with label {got[row]}, but {labels[row]} was asked for"
    problem = wrong_images(samples.trajectory, augmenter.spec.shape) if samples.trajectory.size else None
    return problem and f"a trajectory with {problem}"


def _who(section: AugmenterSection, name: str) -> str:
    return f"augmenter {name} (kind {section.kind})"


def _typed(value: Any) -> str:
    return f"a value of type {type(value).__name__}"
