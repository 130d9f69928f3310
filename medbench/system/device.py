"""Which device a job computes on: as `device` in the config says, on GPUs that it leases."""

import os
import sys

import torch

from medbench.core.errors import UserError
from medbench.system.gpu_lock import lease

# `device` of the config. It is not in a stage's section: where there is a GPU, `cuda` and `auto` mean the same, and
# an edit would compute everything again. What a number was computed on is recorded beside it (Runtime.conditions).
DEVICE = "MEDBENCH_DEVICE"


def take(gpus: int = 1, key: str = "the job") -> str:
    """Leases GPUs for this process, all or none, before CUDA is asked anything; `key` of the config asks for so many.

    Returns:
        cuda, or cpu where the config says so, or says `auto` and there is no GPU.

    Raises:
        UserError: the config says `cuda` and there is no GPU; there are fewer than asked for; see also gpu_lock.lease.
    """
    requested = os.environ.get(DEVICE, "auto")
    if requested not in ("auto", "cuda", "cpu"):
        raise UserError(f"{DEVICE}={requested}: is not a device; set it to auto, cuda or cpu")
    if requested == "cpu":
        return "cpu"
    if torch.backends.cuda.is_built():
        lease(gpus, key)
    if torch.cuda.is_available():
        available = torch.cuda.device_count()
        if available < gpus:
            raise UserError(f"{key}: asks for {gpus} GPUs, but this job is given {available}; ask for {available}")
        return "cuda"
    if requested == "cuda":
        raise UserError(f"device: cuda: {_reason()}; say device: auto or cpu in the config to compute on the CPU")
    return "cpu"


def say_where(device: str) -> None:
    """Prints a line where a job that might have had a GPU computes on the CPU."""
    if device == "cpu" and os.environ.get(DEVICE) != "cpu":
        print(f"note: device auto: {_reason()}, computing on the CPU", file=sys.stderr, flush=True)


def _reason() -> str:
    """Why this job cannot compute on a GPU."""
    built = torch.backends.cuda.is_built()
    return "there is no GPU here (nvidia-smi lists those that work)" if built else "this torch is built without CUDA"
