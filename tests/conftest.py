"""What the tests share: tiny datasets, a run of the command line, and the folder of real images where it is present."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # no test reaches for a hub
os.environ["MEDBENCH_DEVICE"] = "cpu"  # where the bytes are promised
os.environ["MEDBENCH_GPU_LEASE"] = "off"  # tests that run side by side would wait for each other's GPU
os.environ["OMP_NUM_THREADS"] = "1"  # tests run side by side, a core each; numpy reads it when it is loaded, below

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medbench.data.dataset import SPLITS, Dataset, Split
from medbench.data.digest import origins_of
from tests.helpers.builders import tiny_of
from tests.helpers.warm_snakemake import WarmSnakemake

ROOT = Path(__file__).parent.parent
PICTURE_SIDE = 32


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real images and weights for testing, which a user's machine does not have."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder of real images beside the project")
    return folder


@pytest.fixture(scope="session")
def tiny_dataset():
    """A function that makes a dataset of bright and dark noise, one class each."""

    def make(size: int = 12, channels: int = 1, n: int = 40, seed: int = 0) -> Dataset:
        rng = np.random.RandomState(seed)
        shape = (n, size, size) if channels == 1 else (n, size, size, channels)
        splits = {}
        for name in SPLITS:
            labels = np.arange(n) % 2
            offset = (labels * 90).reshape(-1, *[1] * (len(shape) - 1))
            images = (rng.randint(0, 150, shape) + offset).astype(np.uint8)
            splits[name] = Split(images, labels.astype(np.int64), np.arange(n))
        return tiny_of(splits, ["dark", "bright"])

    return make


@pytest.fixture
def picture():
    """A function that makes a smooth gray picture (32, 32), another one for each seed."""

    def make(seed: int) -> np.ndarray:
        coarse = np.random.RandomState(seed).randint(0, 256, (12, 12)).astype(np.uint8)
        return np.asarray(Image.fromarray(coarse).resize((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BICUBIC))

    return make


@pytest.fixture
def raw():
    """A function that makes a raw dataset of rows (image, label) or (image, label, group), one list per split."""

    def make(classes=("a", "b"), **rows) -> Dataset:
        splits, first = {}, 0
        for name in SPLITS:
            images = np.stack([row[0] for row in rows[name]])
            labels = np.array([row[1] for row in rows[name]])
            groups = np.array([row[2] if len(row) > 2 else 1000 + first + k for k, row in enumerate(rows[name])])
            origins = origins_of(images, [f"{name} {k}" for k in range(len(labels))])
            splits[name] = Split(images, labels, groups, origins)
            first += len(labels)
        return tiny_of(splits, classes, notes=["a note"])

    return make


@pytest.fixture
def leaky(raw, picture):
    """Picture 0 four times (two in train, one in val and test), 1 in train and test, 2 in train under two labels."""
    p = picture
    return raw(
        train=[(p(0), 0), (p(0), 0), (p(1), 1), (p(2), 0), (p(2), 1), (p(3), 1), (p(4), 0)],
        val=[(p(0), 0), (p(5), 1), (p(6), 0)],
        test=[(p(7), 0), (p(0), 0), (p(1), 1), (p(8), 1)],
    )


@pytest.fixture
def medbench():
    """Runs the command line in a process of its own."""

    def run(*arguments: object, **options) -> subprocess.CompletedProcess:
        texts = [json.dumps(a) if isinstance(a, dict) else str(a) for a in arguments]
        command = [str(Path(sys.executable).parent / "medbench"), *texts]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, **options)

    return run


@pytest.fixture(scope="session")
def snakemake():
    """`run` of tests/helpers/warm_snakemake.py."""
    warm = WarmSnakemake()
    yield warm.run
    warm.close()
