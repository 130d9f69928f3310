"""Training speed of augmenters on the device at hand: images a second, and what a GPU does meanwhile.

python benchmarks/speed.py [--preset workflow/presets/chest.yaml] [--side 128] [--augmenters vae medienet_l2 ...]

Networks and batches are the preset's over config.yaml's, images are phantoms. Steps are counted once warm, between two
moments at which the device has nothing left to do. Then a few are profiled: the share of time in which a kernel ran,
how many kernels a step is, and those that take the most of it.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from phantom_study import save_phantoms, short_study
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from medbench.augmenters.stage_sections import TrainStage
from medbench.augmenters.train import Inputs, train
from medbench.config import plan
from medbench.training import loop

WARM, TIMED, PROFILED, LAST = 20, 60, 5, 1  # steps; after the last come a probe and a checkpoint
KERNELS = 8  # that are listed
HEAD = "| | batch | steps/s | images/s | kernels, ms a step | share of the time | kernels a step | GPU, MiB |"


class Stopwatch(loop.Progress):
    """Takes the times of the loop's steps; the class holds what the last training has shown."""

    seconds = 0.0
    profiled: Any = None

    def update(self, done: int, note: str = "") -> None:
        on_gpu = torch.cuda.is_initialized()
        if on_gpu and done in (WARM, WARM + TIMED, WARM + TIMED + PROFILED):
            torch.cuda.synchronize()
        if done == WARM:
            Stopwatch.seconds = -time.perf_counter()
        if done == WARM + TIMED:
            Stopwatch.seconds += time.perf_counter()
        if on_gpu and done == WARM + TIMED:
            Stopwatch.profiled = profile(activities=[ProfilerActivity.CUDA])
            Stopwatch.profiled.start()
        if on_gpu and done == WARM + TIMED + PROFILED:
            Stopwatch.profiled.stop()


def measured(stage: TrainStage, folder: Path, inputs: Inputs) -> str:
    """A row of the table, and below it the kernels."""
    train(folder / "images.npz", folder / stage.name, stage, 0, folder / "checkpoints", inputs)
    steps, batch = TIMED / Stopwatch.seconds, stage.augmenter.batch_size
    row = f"| {stage.name} | {batch} | {steps:.1f} | {steps * batch:,.0f} |"
    return f"{row} {_on_gpu(steps)}" if torch.cuda.is_initialized() else row


def _on_gpu(steps: float) -> str:
    events = (event for event in Stopwatch.profiled.key_averages() if event.device_type == DeviceType.CUDA)
    kernels = [event for event in events if not event.is_user_annotation]  # which spans kernels that count already
    busy = sum(event.self_device_time_total for event in kernels) / PROFILED / 1e6
    launched = sum(event.count for event in kernels) / PROFILED
    largest = sorted(kernels, key=lambda event: -event.self_device_time_total)[:KERNELS]
    listed = [f"  {each.self_device_time_total / PROFILED / 1e3:6.2f} ms {each.key[:100]}" for each in largest]
    memory = torch.cuda.max_memory_allocated() / 2**20
    torch.cuda.reset_peak_memory_stats()
    return "\n".join([f"{busy * 1e3:.1f} | {busy * steps:.0%} | {launched:,.0f} | {memory:,.0f} |", *listed])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", type=Path, default=Path("workflow/presets/chest.yaml"))
    parser.add_argument("--side", type=int, default=128)
    names = ["vae", "medienet_l2", "ldm", "annotated_l2_label"]
    parser.add_argument("--augmenters", nargs="+", default=names, help="a first stage before those that use it")
    options = parser.parse_args()
    loop.Progress = Stopwatch  # type: ignore[misc]
    steps = WARM + TIMED + PROFILED + LAST
    config = short_study(options.preset, options.side, steps, os.environ.get("MEDBENCH_DEVICE", "auto"))
    print(HEAD)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_phantoms(config, folder / "images.npz")
        for augmenter in options.augmenters:
            first = plan.first_stage_of(config, augmenter)
            inputs = Inputs(first_stage=folder / first if first else None)
            print(measured(plan.train_section(config, augmenter), folder, inputs), flush=True)


if __name__ == "__main__":
    main()
