"""What the tests share: tiny datasets, a run of the command line, and the folder of real images where it is present."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from medbench.data.dataset import SPLITS, Card, Dataset, Split, class_counts

ROOT = Path(__file__).parent.parent
os.environ["HF_HUB_OFFLINE"] = "1"  # no test reaches for a hub
os.environ["MEDBENCH_DEVICE"] = "cpu"  # where the bytes are promised
os.environ["MEDBENCH_GPU_LEASE"] = "off"  # tests that run side by side would wait for each other's GPU
os.environ["OMP_NUM_THREADS"] = "1"  # tests run side by side, a core each


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture
def shared() -> Path:
    """Real images and weights for testing, which a user's machine does not have."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder of real images beside the project")
    return folder


@pytest.fixture
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
        card = Card(
            name="tiny",
            title="Tiny",
            source="noise",
            licence="MIT",
            citation="none",
            classes=["dark", "bright"],
            channels=channels,
            image_size=(size, size),
            counts=class_counts(splits, 2),
        )
        return Dataset(splits, card)

    return make


@pytest.fixture
def medbench():
    """Runs the command line in a process of its own."""

    def run(*arguments: object, **options) -> subprocess.CompletedProcess:
        texts = [json.dumps(a) if isinstance(a, dict) else str(a) for a in arguments]
        command = [str(Path(sys.executable).parent / "medbench"), *texts]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, **options)

    return run
