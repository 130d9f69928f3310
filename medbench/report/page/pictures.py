"""Pictures as data URIs: a study's figures with their captions, and example images of a dataset."""

import base64
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from PIL import Image

from medbench.data.dataset import Split

Group = Literal["fidelity", "ablation", "sampling", "utility", "leakage", "samples"]
EXAMPLES = 6  # images a class
EXAMPLE_SIDE = 112  # pixels, about: smaller images are enlarged by a whole number, larger ones made smaller
WIDE = 5.0  # inches: figures are one column of a page wide, or both
GAP = 4  # pixels between two examples
TYPES = {".svg": "image/svg+xml", ".png": "image/png"}  # in the order of preference: an svg is sharp at any size


@dataclass(frozen=True)
class FigureKind:
    prefix: str  # of the file's name; what follows is the dataset
    group: Group
    title: str
    caption: str


STUDY_FIGURES = (
    FigureKind(
        "fid_by_augmenter",
        "fidelity",
        "FID by augmenter",
        "One panel a dimension, as dimensions share no scale. A ceiling is what a first stage makes of real images.",
    ),
    FigureKind(
        "training_curves",
        "fidelity",
        "Training curves",
        "Error of the predicted noise on a fixed validation set, on one scale whatever loss was trained. Noise in"
        " pixels, in the latents of a first stage, or of another schedule is another thing, in panels of its own.",
    ),
    FigureKind(
        "fidelity_by_step",
        "fidelity",
        "Fidelity by training step",
        "KID of a few generated images against validation images at each check. Where it rises again, the generator may"
        " over-fit; with so few images, small differences are chance.",
    ),
    FigureKind(
        "ablation",
        "ablation",
        "What a part is worth",
        "FID of the model without a part, minus that of the whole at the same generator seed: worse to the right.",
    ),
    FigureKind(
        "sampling",
        "sampling",
        "Guidance and steps",
        "One trained model, sampled in several ways.",
    ),
    FigureKind(
        "auroc_by_arm",
        "utility",
        "AUROC by arm",
        "On the real test split: every run as a point, the mean and its 95 % interval.",
    ),
    FigureKind("auroc_by_ratio", "utility", "AUROC by ratio", "Against the number of extra images a real one."),
    FigureKind("roc", "utility", "ROC curves", "On the real test split."),
    FigureKind(
        "leakage",
        "leakage",
        "What the protocol changes",
        "Each arm's test AUROC on the dataset as published, joined to that on the same images under another protocol."
        " Training set, test set and the shares of the classes change with it, so that a difference is not leakage"
        " alone.",
    ),
    FigureKind("confusion", "utility", "Confusion matrices", "In per cent of the true class, on the real test split."),
    FigureKind(
        "samples",
        "samples",
        "Real and generated images",
        "Evenly spaced in their order, not chosen by eye; generated ones of the first seed. A ceiling's are real images"
        " that a first stage has encoded and decoded.",
    ),
    FigureKind("denoising", "samples", "From noise to image", "One image an augmenter, on its way out of the noise."),
)


@dataclass(frozen=True)
class Picture:
    title: str
    caption: str
    uri: str
    wide: bool = False  # as wide as the page


def study_pictures(folder: Path) -> dict[Group, list[Picture]]:
    """The figures of a study by the part of the page that they belong to; those of no known kind are left out."""
    stems = sorted({path.stem for path in folder.glob("*") if path.suffix in TYPES})
    found: dict[Group, list[Picture]] = {group: [] for group in get_args(Group)}
    for kind in STUDY_FIGURES:
        for stem in stems:
            if stem == kind.prefix or stem.startswith(f"{kind.prefix}_"):
                found[kind.group].append(_picture(kind, folder / stem))
    return found


def _picture(kind: FigureKind, stem: Path) -> Picture:
    dataset = stem.name.removeprefix(kind.prefix).removeprefix("_")
    file = next(path for suffix in TYPES if (path := stem.with_name(stem.name + suffix)).exists())
    title = f"{kind.title}, {dataset}" if dataset else kind.title
    return Picture(title, kind.caption, data_uri(file.read_bytes(), TYPES[file.suffix]), _is_wide(file))


def _is_wide(figure: Path) -> bool:
    """Whether it was drawn for both columns of a page; of a png without a size in inches it is not known."""
    if figure.suffix == ".svg":
        width = re.search(r'<svg[^>]* width="([\d.]+)pt"', figure.read_text(encoding="utf-8"))
        inches = float(width[1]) / 72 if width else 0.0
    else:
        with Image.open(figure) as picture:
            inches = picture.width / picture.info.get("dpi", (np.inf,))[0]
    return inches > WIDE


def data_uri(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def examples(train: Split, classes: Iterable[str]) -> list[Picture]:
    """A strip of training images a class, evenly spaced in their order; none for a class without images."""
    strips = []
    for label, name in enumerate(classes):
        rows = np.flatnonzero(train.labels == label)
        if len(rows):
            chosen = rows[np.linspace(0, len(rows) - 1, min(EXAMPLES, len(rows))).round().astype(int)]
            caption = f"{len(chosen)} of {len(rows)} training images"
            strips.append(Picture(name, caption, data_uri(_png(strip(train.images[chosen])))))
    return strips


def strip(images: np.ndarray) -> np.ndarray:
    """Images (n, H, W) or (n, H, W, 3) uint8 side by side on white, each pixel kept a square."""
    shown = [_scaled(image) for image in images]
    gap = np.full((shown[0].shape[0], GAP, *shown[0].shape[2:]), 255, np.uint8)
    return np.concatenate([part for image in shown for part in (gap, image)][1:], axis=1)


def _scaled(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    times = EXAMPLE_SIDE // max(height, width)
    if times >= 1:
        return image.repeat(times, axis=0).repeat(times, axis=1)
    scale = EXAMPLE_SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="png", optimize=True)
    return file.getvalue()
