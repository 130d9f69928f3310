"""Peak memory of preparing as many full-size chest X-rays as Kermany et al. published, against that of their pixels.

python benchmarks/prepare_memory.py [--images 5856] [--size 64]

The files are phantoms at sizes as theirs, from 384×127 to 2916×2713 pixels, 40 different ones under many names.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from medbench.core.sections import canonical_json
from medbench.run.job_logs import read_usage

DIFFERENT = 40
MIB = 2**20


def write_files(root: Path, images: int) -> int:
    """Writes a folder a class; returns the bytes of all pixels."""
    rng = np.random.RandomState(0)
    originals, pixels = root / "originals", []
    originals.mkdir()
    for number in range(DIFFERENT):
        height, width = (127, 384) if number == 0 else (2713, 2916) if number == 1 else rng.randint(600, 1800, 2)
        coarse = Image.fromarray(rng.randint(0, 256, (12, 12), dtype=np.uint8))
        coarse.resize((int(width), int(height)), Image.Resampling.BICUBIC).save(originals / f"{number}.jpg")
        pixels.append(int(width) * int(height))
    for row in range(images):
        folder = root / "data" / ("NORMAL", "PNEUMONIA")[row % 2]
        folder.mkdir(parents=True, exist_ok=True)
        os.link(originals / f"{row % DIFFERENT}.jpg", folder / f"{row:05}.jpg")
    return sum(pixels[row % DIFFERENT] for row in range(images))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5856)
    parser.add_argument("--size", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        pixels = write_files(root, options.images)
        dataset = {"kind": "folder", "path": str(root / "data"), "image_size": options.size, "channels": 1}
        section = canonical_json({"name": "xray", "seed": 0, "dataset": dataset})
        command = [sys.executable, "-m", "medbench", "prepare", str(root / "x.npz"), "--config", section]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    usage = read_usage(done.stderr)
    if usage is None:
        raise SystemExit(done.stderr)
    print(f"{options.images} images to {options.size}×{options.size}, CPU time {usage.cpu_seconds:.0f} s")
    print(f"peak memory {usage.peak_mib} MiB, {usage.peak_mib * MIB / pixels:.4f} of {pixels / MIB:.0f} MiB of pixels")


if __name__ == "__main__":
    main()
