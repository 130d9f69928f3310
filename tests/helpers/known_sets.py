"""Small stand-ins for the published archives, laid out as they are unpacked."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from medbench.data.fetched import Fetched, write_manifest
from medbench.data.published import Remote
from medbench.run.files import sha256_of


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


def record(remote: Remote, differs: str | None = None, proved_by: str | None = None) -> None:
    """Says that what lies here was fetched."""
    content = {"file": remote.file, "address": "a test", "differs": differs, "proved_by": proved_by}
    if remote.extract:
        write_manifest(remote, remote.folder, "0" * 64)
        members = sum(path.is_file() for path in remote.folder.rglob("*"))
        content |= {"size": 1, "sha256": "0" * 64, "members": members, "manifest": sha256_of(remote.manifest)}
    else:
        content |= {"size": remote.path.stat().st_size, "sha256": sha256_of(remote.path)}
    Fetched(**content).write(remote.record)


def numbered(folders: dict[str, int], name: str = "{n}") -> list[str]:
    """`<folder>/<name>` as often as asked for."""
    return [f"{folder}/{name.format(n=n)}" for folder, count in folders.items() for n in range(count)]
