"""Small stand-ins for the published archives, laid out as they are unpacked."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from medbench.data.record import Record
from medbench.data.remote import Remote
from medbench.files import sha256_of, write_json


def write_image(path: Path, seed: int, mode: str = "L", size: tuple[int, int] = (9, 8)) -> None:
    """An image that no other seed gives; its format is that of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.RandomState(seed).randint(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


def unpacked(remote: Remote, names: Iterable[str], suffix: str = ".png") -> Path:
    """Images under these names below the folder of an archive, with the record of a fetch."""
    for seed, name in enumerate(names):
        write_image(remote.folder / f"{name}{suffix}", seed)
    record(remote)
    return remote.folder


def record(remote: Remote, differs: str | None = None) -> None:
    """Says that what lies here was fetched."""
    members = sum(path.is_file() for path in remote.folder.rglob("*")) if remote.extract else None
    sha256 = "0" * 64 if remote.extract else sha256_of(remote.path)
    found = Record(file=remote.file, size=1, sha256=sha256, address="a test", proved_by="content")
    write_json(remote.record, found.model_copy(update={"members": members, "differs": differs}).model_dump(mode="json"))


def numbered(folders: dict[str, int], name: str = "{n}") -> list[str]:
    """`<folder>/<name>` as often as asked for."""
    return [f"{folder}/{name.format(n=n)}" for folder, count in folders.items() for n in range(count)]
