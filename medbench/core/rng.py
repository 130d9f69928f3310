"""Every draw comes from (seed, axis, step): resuming needs no generator state, and no axis moves another."""

import hashlib

import numpy as np


def seed_for(seed: int, *axis: str | int) -> int:
    """A 63-bit seed from a study seed and the names and numbers of an axis, the same on every platform.

    >>> seed_for(0, "train", 1) == seed_for(0, "train", 1) != seed_for(0, "train", 2)
    True
    """
    text = "/".join(str(part) for part in (seed, *axis))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def numpy_rng(seed: int, *axis: str | int) -> np.random.RandomState:
    """A NumPy generator for an axis. RandomState, because its streams are frozen (NEP 19) and `Generator`'s are not."""
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed_for(seed, *axis))))
