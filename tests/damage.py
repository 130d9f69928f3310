"""Damage that leaves a file where it was, and as long."""

from pathlib import Path


def flip(path: Path, at: float = 0.5) -> None:
    """One bit of the byte at this share of the file's length."""
    content = bytearray(path.read_bytes())
    content[int(at * (len(content) - 1))] ^= 1
    path.write_bytes(content)
