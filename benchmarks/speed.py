"""Training speed of augmenters on the device at hand: images a second, and what the GPU does meanwhile.

python benchmarks/speed.py [--config workflow/presets/chest.yaml] [--side 128] [--augmenters vae medienet_l2 ...]

Networks, losses and batches are the config's, over config.yaml; the images are phantoms of the side given. Steps are
counted once warm, between two moments at which the device has nothing left to do. Then a few are profiled: the share
of time in which a kernel ran, how many kernels a step is, and those that take the most of it.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from snakemake.utils import update_config
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from medbench import plan
from medbench.config import Config, load
from medbench.data.prepare import prepare
from medbench.stages import TrainStage
from medbench.training import loop
from medbench.training.train import Inputs, train

WARM, TIMED, PROFILED = 20, 60, 10  # steps
KERNELS = 8  # that are listed


class Stopwatch(loop.Progress):
    """Takes the times of the loop's steps; the class holds what the last training has shown."""

    seconds = 0.0
    profiled: Any = None

    def update(self, done: int, note: str = "") -> None:
        if done in (WARM, WARM + TIMED, WARM + TIMED + PROFILED) and torch.cuda.is_available():
            torch.cuda.synchronize()
        if done == WARM:
            Stopwatch.seconds = -time.perf_counter()
        if done == WARM + TIMED:
            Stopwatch.seconds += time.perf_counter()
            Stopwatch.profiled = profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA])
            Stopwatch.profiled.start()
        if done == WARM + TIMED + PROFILED:
            Stopwatch.profiled.stop()


def study(path: Path, side: int) -> Config:
    raw: dict[str, Any] = yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8"))
    update_config(raw, yaml.safe_load(path.read_text(encoding="utf-8")))
    raw["datasets"]["phantom"] = {"kind": "phantom", "subject": "ct", "image_size": side}
    for section in raw["augmenters"].values():
        section |= {"steps": WARM + TIMED + PROFILED} if "steps" in section else {}
        section |= {"log_every": 10**6} if "log_every" in section else {}
        section |= {"fidelity_checks": 0} if "fidelity_checks" in section else {}
    raw["fidelity"] |= {"weights": "random"}
    raw["studies"] = {"speed": {"datasets": ["phantom"], "augmenters": [*raw["augmenters"]], "generator_seeds": [0]}}
    return load(raw | {"run": ["speed"]})


def measured(stage: TrainStage, folder: Path, inputs: Inputs) -> str:
    """A row of the table, and the kernels."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    train(folder / "phantom.npz", folder / stage.name, stage, 0, folder / "checkpoints", inputs)
    steps, batch = TIMED / Stopwatch.seconds, stage.augmenter.batch_size
    row = f"| {stage.name} | {batch} | {steps:.1f} | {steps * batch:,.0f} |"
    if not torch.cuda.is_available():
        return row
    on_gpu = (event for event in Stopwatch.profiled.key_averages() if event.device_type == DeviceType.CUDA)
    kernels = [event for event in on_gpu if not event.is_user_annotation]  # which spans kernels that count already
    busy = sum(event.self_device_time_total for event in kernels) / PROFILED / 1e6
    launched = sum(event.count for event in kernels) / PROFILED
    largest = sorted(kernels, key=lambda event: -event.self_device_time_total)[:KERNELS]
    listed = [f"  {each.self_device_time_total / PROFILED / 1e3:6.2f} ms {each.key[:100]}" for each in largest]
    memory = torch.cuda.max_memory_allocated() / 2**20
    return "\n".join([f"{row} {busy * 1e3:.1f} | {busy * steps:.0%} | {launched:,.0f} | {memory:,.0f} |", *listed])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("workflow/presets/chest.yaml"))
    parser.add_argument("--side", type=int, default=128)
    names = ["vae", "medienet_l2", "ldm", "annotated_l2_label"]
    parser.add_argument("--augmenters", nargs="+", default=names, help="a first stage before those that use it")
    options = parser.parse_args()
    loop.Progress = Stopwatch  # type: ignore[misc]
    config = study(options.config, options.side)
    print("| | batch | steps/s | images/s | kernels, ms a step | share of the time | kernels a step | GPU, MiB |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(config.datasets["phantom"], "phantom", 0).save(folder / "phantom.npz", "")
        for augmenter in options.augmenters:
            first = plan.first_stage_of(config, augmenter)
            inputs = Inputs(first_stage=folder / first if first else None)
            print(measured(plan.train_section(config, augmenter), folder, inputs), flush=True)


if __name__ == "__main__":
    main()
