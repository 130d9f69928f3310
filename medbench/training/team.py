"""Several processes that train one network, a GPU each: each takes its share of every batch, and they stay equal.

The network is not wrapped (DistributedDataParallel): tasks call other methods than `forward`, and adversaries descend
through each other. Gradients are averaged after each backward pass instead, in one buffer, whatever led to them.
"""

import os
import time
from collections.abc import Callable
from typing import TypeVar

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.utils import broadcast, check_cuda_p2p_ib_support
from torch import Tensor, nn

from medbench.core.errors import UserError
from medbench.system.launch import RENDEZVOUS, is_one_of_several
from medbench.system.signals import ended_by_signals
from medbench.training.draws import Share

ENDED_WITHIN = 30.0  # seconds: the launcher ends what a failed process leaves behind in a fraction of one
Answer = TypeVar("Answer")


def join(device: str) -> int:
    """Meets the other processes that medbench.system.launch has started, each with the GPU of its rank.

    Returns:
        how many there are; 1 without a launcher.
    """
    if not is_one_of_several():
        return 1
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if dist.is_initialized():
        return size
    if device == "cuda":
        torch.cuda.set_device(rank)
        if not check_cuda_p2p_ib_support():  # as `accelerate launch` does for such GPUs
            os.environ |= {"NCCL_P2P_DISABLE": "1", "NCCL_IB_DISABLE": "1"}
    # On GPUs too, what is agreed on between steps is a number in memory: it must not wait for the GPU.
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    with ended_by_signals():  # it waits for the others within torch, and one of them may be gone
        store = dist.FileStore(os.environ[RENDEZVOUS], size)  # a file: no port to meet at
        _or_ended(lambda: dist.init_process_group(backend, store=store, rank=rank, world_size=size))
    return size


def leave() -> None:
    """Ends the exchange; all have learned, and only the first has something to write."""
    if dist.is_initialized():
        dist.destroy_process_group()


class Team:
    """What the processes of one training do together; alone, nothing of it changes a number."""

    def __init__(self, accelerator: Accelerator):
        self.accelerator = accelerator
        self.rank, self.size = accelerator.process_index, accelerator.num_processes

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes what all have learned."""
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
            _or_ended(lambda: broadcast([tensor.detach() for tensor in network.state_dict().values()]))

    def average(self, network: nn.Module, loss: Tensor) -> Tensor:
        """Replaces gradients by their means over the processes. Returns the mean of the loss, a scalar."""
        if self.size == 1:
            return loss
        gradients = [each.grad for each in network.parameters() if each.grad is not None]
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
        """Of the processes' numbers: what one knows, such as a signal, all know after the same step."""
        if self.size == 1:
            return number
        known = torch.tensor(number)
        _or_ended(lambda: dist.all_reduce(known, dist.ReduceOp.MAX))
        return int(known)

    def _mean(self, tensor: Tensor) -> Tensor:
        mean: Tensor = _or_ended(lambda: self.accelerator.reduce(tensor, "mean"))
        return mean


def _or_ended(exchange: Callable[[], Answer]) -> Answer:
    """What the exchange gives. Where another process is gone, this one waits to be ended by the launcher.

    The launcher says why the other one is gone: what this one knows is only that nobody answers.
    """
    try:
        return exchange()
    except RuntimeError:
        time.sleep(ENDED_WITHIN)
        raise
