"""The machine a stage runs on: device, precision, threads; and what of it belongs beside every number."""

import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import torch
from accelerate import Accelerator

from medbench.core.sections import RuntimeStage
from medbench.system.device import say_where, take

PACKAGES = ("torch", "torchvision", "diffusers", "accelerate", "torch-fidelity", "numpy", "scipy")


@dataclass(frozen=True)
class Runtime:
    device: str  # cpu or cuda
    precision: str  # fp32 or bf16, resolved
    torch_threads: int
    deterministic: bool
    processes: int = 1  # that train together, each on its GPU

    @property
    def torch_device(self) -> torch.device:
        return torch.device(self.device)

    def accelerator(self) -> Accelerator:
        return Accelerator(cpu=self.device == "cpu", mixed_precision="bf16" if self.precision == "bf16" else "no")

    def conditions(self) -> dict[str, Any]:
        """Device, precision, threads, processes, versions: two runs that differ here may differ in the last digits."""
        hardware = platform.machine()
        if self.device == "cuda":  # of several GPUs alike, one name
            hardware = ", ".join(dict.fromkeys(map(torch.cuda.get_device_name, range(self.processes))))
        return {**asdict(self), "hardware": hardware, "versions": {name: version(name) for name in PACKAGES}}


def start(section: RuntimeStage, computes: bool = True, join: Callable[[str], int] = lambda device: 1) -> Runtime:
    """Applies the section to this process, which gets a GPU for itself where there is one (medbench.system.gpu_lock).

    `auto` precision follows the hardware's capability, never a timing. `join` meets the other processes that train
    together, given cpu or cuda, and returns how many there are.

    Raises:
        UserError: see medbench.system.device.take.
    """
    torch.set_num_threads(section.torch_threads)
    if section.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    device = "cpu"
    if computes:
        device = take()  # before CUDA is asked anything, which fixes the devices that it shows
        say_where(device)
    processes = join(device)
    capable = device == "cuda" and _have_bf16(processes)
    precision = section.precision if section.precision != "auto" else "bf16" if capable else "fp32"
    if precision == "fp32":  # TF32, a GPU's default for convolutions, keeps 10 bits of the mantissa
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return Runtime(device, precision, section.torch_threads, section.deterministic, processes)


def _have_bf16(processes: int) -> bool:
    """Whether all GPUs that compute have it: the same precision in every process."""
    gpus = range(processes) if processes > 1 else []
    supported = torch.cuda.is_bf16_supported(including_emulation=False)
    return supported and all(torch.cuda.get_device_properties(gpu).major >= 8 for gpu in gpus)
