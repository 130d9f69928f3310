"""Archives as an attacker, or a broken disk, would make them."""

import io
import tarfile
import zipfile
from pathlib import Path

CENTRAL = b"PK\x01\x02"  # begins a member's header in a zip's listing


def zip_of(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], method=zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content, method)
    return path


def tar_of(path: Path, *members: tuple[str | tarfile.TarInfo, bytes], packing: str = "") -> Path:
    with tarfile.open(path, f"w:{packing}") as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_entry(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def patched(path: Path, place: int, content: bytes) -> Path:
    data = bytearray(path.read_bytes())
    data[place : place + len(content)] = content
    path.write_bytes(data)
    return path


def listed(path: Path, field: int, content: bytes) -> Path:
    """A zip, with a field of its first member's header in the listing overwritten."""
    return patched(path, path.read_bytes().index(CENTRAL) + field, content)
