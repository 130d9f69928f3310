"""The machine a stage runs on: device, precision, threads; and what of it belongs beside every number."""

import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import torch
from accelerate import Accelerator

from medbench.leases import lease
from medbench.stages import RuntimeStage

PACKAGES = ("torch", "torchvision", "diffusers", "accelerate", "torch-fidelity", "numpy", "scipy")


@dataclass(frozen=True)
class Runtime:
    device: str  # cpu or cuda
    precision: str  # fp32 or bf16, resolved
    torch_threads: int
    deterministic: bool

    @property
    def torch_device(self) -> torch.device:
        return torch.device(self.device)

    def accelerator(self) -> Accelerator:
        return Accelerator(cpu=self.device == "cpu", mixed_precision="bf16" if self.precision == "bf16" else "no")

    def conditions(self) -> dict[str, Any]:
        """Device, precision, threads and package versions: two runs that differ here may differ in the last digits."""
        hardware = torch.cuda.get_device_name() if self.device == "cuda" else platform.machine()
        return {**asdict(self), "hardware": hardware, "versions": {name: version(name) for name in PACKAGES}}


def start(section: RuntimeStage) -> Runtime:
    """Applies the section to this process; on a GPU, one that it has for itself until it ends (medbench.leases).

    `auto` precision follows the hardware's capability, never a timing.

    Raises:
        UserError: see medbench.leases.lease.
    """
    torch.set_num_threads(section.torch_threads)
    if section.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    if torch.backends.cuda.is_built():
        lease()  # before CUDA is asked anything, which fixes the devices that it shows
    cuda = torch.cuda.is_available()
    capable = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    precision = section.precision if section.precision != "auto" else "bf16" if capable else "fp32"
    if precision == "fp32":  # TF32, a GPU's default for convolutions, keeps 10 bits of the mantissa
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return Runtime("cuda" if cuda else "cpu", precision, section.torch_threads, section.deterministic)
