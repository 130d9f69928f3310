"""Several processes that train one network, one per GPU: each takes its share of every batch, and they stay equal.

The network is not wrapped (DistributedDataParallel): tasks call other methods than `forward`, and adversaries descend
through each other. Instead gradients are averaged in one buffer after each backward pass, wherever they come from.
"""

import os
import signal
import time
from collections.abc import Callable
from typing import TypeVar

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.utils import broadcast, check_cuda_p2p_ib_support
from torch import Tensor, nn

from medbench.core.errors import UserError
from medbench.system.launcher import RENDEZVOUS, is_one_of_several
from medbench.system.signals import handled_by
from medbench.training.task import Share

ENDED_WITHIN = 30.0  # seconds: the launcher ends what a failed process leaves behind in a fraction of one
Answer = TypeVar("Answer")


def join(device: str) -> int:
    """Meets the other processes that medbench.system.launcher has started, each with the GPU of its rank. Returns how
    many there are, 1 without a launcher."""
    if not is_one_of_several():
        return 1
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if dist.is_initialized():
        return size
    if device == "cuda":
        torch.cuda.set_device(rank)
        if not check_cuda_p2p_ib_support():  # as `accelerate launch` does for such GPUs
            os.environ |= {"NCCL_P2P_DISABLE": "1", "NCCL_IB_DISABLE": "1"}
    # On GPUs too, what the processes agree on between steps is a number in memory: it must not wait for the GPU.
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    with handled_by(signal.SIG_DFL):  # torch waits for the others, of which one may be gone, and runs no Python
        store = dist.FileStore(os.environ[RENDEZVOUS], size)  # a file: no port to meet at
        _or_wait_for_end(lambda: dist.init_process_group(backend, store=store, rank=rank, world_size=size))
    return size


def leave() -> None:
    """Ends the exchange after the training: only the first process has something to write."""
    if dist.is_initialized():
        dist.destroy_process_group()


class Team:
    """What the processes of one training do together; with one process, it changes no number."""

    def __init__(self, accelerator: Accelerator):
        self.accelerator = accelerator
        self.rank, self.size = accelerator.process_index, accelerator.num_processes

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes the result of all."""
        return self.rank == 0

    def share(self, batch_size: int) -> Share:
        if batch_size % self.size:
            raise UserError(f"batches of {batch_size} cannot be shared by {self.size} GPUs; give a multiple, or gpu: 1")
        return Share(self.rank, self.size, batch_size // self.size)

    def require_same(self, step: int) -> None:
        """Raises RuntimeError unless all go on from the same step: a checkpoint that only some could read."""
        if self.largest(step) != -self.largest(-step):
            raise RuntimeError(f"the processes go on from different checkpoints, this one from step {step}")

    def start_equal(self, network: nn.Module) -> None:
        """Gives every process the first one's weights, should anything have drawn others."""
        if self.size > 1:
            _or_wait_for_end(lambda: broadcast([tensor.detach() for tensor in network.state_dict().values()]))

    def average(self, network: nn.Module, loss: Tensor) -> Tensor:
        """Replaces gradients by their means over the processes. Returns the mean of the loss, a scalar."""
        if self.size == 1:
            return loss
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        flat = torch.cat([loss.detach().reshape(1), *(gradient.flatten() for gradient in gradients)])
        mean = self._mean(flat)
        parts = mean[1:].split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        return mean[0]

    def mean(self, value: Tensor) -> Tensor:
        """From a mean over a share to that over the batch. Its gradient is the share's, which `average` completes."""
        return value if self.size == 1 else value + (self._mean(value.detach()) - value.detach())

    def largest(self, number: int) -> int:
        """Largest of the processes' numbers: what one knows, such as a signal, all know after the same step."""
        if self.size == 1:
            return number
        largest = torch.tensor(number)
        _or_wait_for_end(lambda: dist.all_reduce(largest, dist.ReduceOp.MAX))
        return int(largest)

    def _mean(self, tensor: Tensor) -> Tensor:
        mean: Tensor = _or_wait_for_end(lambda: self.accelerator.reduce(tensor, "mean"))
        return mean


def _or_wait_for_end(exchange: Callable[[], Answer]) -> Answer:
    """The result of the exchange. Where another process is gone, this one waits until the launcher, which knows why,
    ends it."""
    try:
        return exchange()
    except RuntimeError:
        time.sleep(ENDED_WITHIN)
        raise
