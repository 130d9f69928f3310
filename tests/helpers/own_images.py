"""A user's own images: folders of classes, tables beside them, npz files, and what is prepared of them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from medbench.data.dataset import SPLITS, Dataset, Split
from medbench.data.prepare import prepare
from medbench.data.sections import FolderDataset, NpzDataset


def put(path: Path, value: int = 0, mode: str = "L", size: tuple[int, int] = (10, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, 0, 0)).save(path)


def two_classes(root: Path, n: int = 20) -> Path:
    """root/{ill,well}/NN.png; the gray value of an image is its number, plus 100 in `well`."""
    for number in range(n):
        put(root / "ill" / f"{number:02}.png", number)
        put(root / "well" / f"{number:02}.png", 100 + number)
    return root


def folder(root: Path, **settings) -> FolderDataset:
    return FolderDataset(kind="folder", path=str(root), **{"image_size": 8, **settings})


def from_folder(root: Path, seed: int = 0, **settings) -> Dataset:
    return prepare(folder(root, **settings), "mine", seed)


def from_table(root: Path, text: str, name: str = "table.csv", **settings) -> Dataset:
    (root / name).write_text(text, encoding="utf-8")
    return from_folder(root, table=str(root / name), **settings)


def values(split: Split) -> list[int]:
    """The gray value in the middle of each image, by which the file that it was read from is known."""
    return split.images[:, 4, 4].tolist()


def damaged_copies(path: Path, start: int = 0, stop: int | None = None) -> Iterator[Path]:
    """150 copies of a file, beside it, each with three of the bytes from `start` to `stop` changed."""
    rng, content = np.random.RandomState(0), np.frombuffer(path.read_bytes(), np.uint8)
    for number in range(150):
        damaged = content.copy()
        damaged[rng.randint(start, stop or len(content), 3)] = rng.randint(0, 256, 3)
        copy = path.with_name(f"damaged-{number}{path.suffix}")  # to write over one would flush it to the disk
        copy.write_bytes(damaged.tobytes())
        yield copy


def arrays(**changes) -> dict[str, np.ndarray]:
    """A valid set of arrays, 2 classes, 8 x 6 pixels; a change of None removes the key."""
    rng = np.random.RandomState(0)
    valid = {}
    for name, count in zip(SPLITS, (12, 4, 4), strict=True):
        valid[f"{name}_images"] = rng.randint(0, 256, (count, 8, 6)).astype(np.uint8)
        valid[f"{name}_labels"] = (np.arange(count) % 2)[:, None].astype(np.uint8)
    return {key: value for key, value in {**valid, **changes}.items() if value is not None}


def from_npz(path: Path, content: dict[str, np.ndarray] | None = None, **settings) -> Dataset:
    """Of these arrays, which are saved there first, or of what is there already."""
    if content is not None:
        np.savez(path, **content)
    return prepare(NpzDataset(kind="npz", path=str(path), **settings), "mine", seed=0)
