"""What several processes of one training compute, forked from the test, which has imported torch for all of them."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState

from medbench.system.launcher import RENDEZVOUS
from medbench.system.runtime import Runtime
from medbench.training.team import join

Work = Callable[..., Any]  # (runtime, rank, *arguments) -> what torch.save can write


def together(work: Work, folder: Path, *arguments: Any, processes: int = 2) -> list[Any]:
    """What the work returns in each process, by rank."""
    context = multiprocessing.get_context("fork")
    folder.mkdir(parents=True)
    started = [
        context.Process(target=_member, args=(rank, processes, folder, work, arguments)) for rank in range(processes)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(300)
    codes = [process.exitcode for process in started]
    for process in started:
        process.kill()
    assert codes == [0] * processes, f"exit codes {codes}"
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(processes)]


def _member(rank: int, processes: int, folder: Path, work: Work, arguments: tuple[Any, ...]) -> None:
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    os.environ |= {RENDEZVOUS: str(folder / "meet"), "RANK": str(rank), "LOCAL_RANK": str(rank)}
    os.environ |= {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes), "GLOO_SOCKET_IFNAME": loopback}
    torch.set_num_threads(1)
    AcceleratorState._reset_state(reset_partial_state=True)  # the test's own is that of one process
    runtime = Runtime("cpu", "fp32", 1, False, join("cpu"))
    torch.save(work(runtime, rank, *arguments), folder / f"{rank}.pt")
