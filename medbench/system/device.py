"""Which device a job computes on: as `device` in the config says, on GPUs that it leases."""

import os
import sys

import torch

from medbench.core.errors import UserError
from medbench.system.gpu_lock import lease

# `device` of the config. Not in a stage's section: where there is a GPU, `cuda` asks for what `auto` has made, and an
# edit would make everything again. What a number was computed on is recorded beside it (Runtime.conditions).
DEVICE = "MEDBENCH_DEVICE"


def take(gpus: int = 1, key: str = "the job") -> str:
    """Leases GPUs for this process. To be called before CUDA is asked anything.

    Args:
        gpus: how many, all or none.
        key: who asks for so many: a place in the config.

    Returns:
        cuda, or cpu where the config says so, or says `auto` and there is no GPU.

    Raises:
        UserError: the config says `cuda` and there is no GPU; there are fewer than asked for; see also leases.lease.
    """
    wanted = os.environ.get(DEVICE, "auto")
    if wanted not in ("auto", "cuda", "cpu"):
        raise UserError(f"{DEVICE}={wanted}: is not a device; set it to auto, cuda or cpu")
    if wanted == "cpu":
        return "cpu"
    built = torch.backends.cuda.is_built()
    if built:
        lease(gpus, key)
    if not torch.cuda.is_available():
        if wanted == "cuda":
            raise UserError(
                f"device: cuda: {_lack(built)}; say device: auto or cpu in the config to compute on the CPU"
            )
        return "cpu"
    shown = torch.cuda.device_count()
    if shown < gpus:
        raise UserError(f"{key}: asks for {gpus} GPUs, but this job is given {shown}; ask for {shown}")
    return "cuda"


def say_where(device: str) -> None:
    """Prints a line where a job that might have had a GPU computes on the CPU."""
    if device == "cpu" and os.environ.get(DEVICE) != "cpu":
        built = torch.backends.cuda.is_built()
        print(f"note: device auto: {_lack(built)}, computing on the CPU", file=sys.stderr, flush=True)


def _lack(built: bool) -> str:
    return "there is no GPU here (nvidia-smi lists those that work)" if built else "this torch is built without CUDA"
