"""A GPU for this process alone among one user's jobs: one locked file per device, which the kernel frees at its end.

Snakemake's `--resources gpu=2` only counts: without a lease, both jobs would compute on the first device. Other users
and other programs take no leases; CUDA_VISIBLE_DEVICES keeps medbench off their GPUs.
"""

import itertools
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from medbench.core.errors import UserError
from medbench.system import cuda_devices
from medbench.system.folder_lock import claim, holder

VISIBLE = "CUDA_VISIBLE_DEVICES"
# Set by a lease, so that what its holder starts computes on the same devices; `off` in the environment: no leases.
LEASED = "MEDBENCH_GPU_LEASE"
SCHEDULED = "MEDBENCH_SCHEDULED"  # set by the rules in a job that a scheduler started
TEMPORARY = "/tmp"  # nosec B108 # the folder made there is checked before it is used
REMIND = 60  # seconds between two lines of a job that waits


def visible_devices() -> list[str]:
    """The devices that CUDA would show this process, without asking CUDA in it (see medbench.system.cuda_devices).

    Raises:
        UserError: the driver crashes.
    """
    command = [sys.executable, "-I", "-S", cuda_devices.__file__]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(
            f"the CUDA driver does not say which GPUs there are (exit code {done.returncode}): see what nvidia-smi"
            f" prints, or compute on the CPU with {VISIBLE} set to nothing"
        )
    return done.stdout.split()


def lease(
    count: int = 1,
    who: str = "the job",
    visible: Callable[[], list[str]] = visible_devices,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Gives this process the first free GPUs until it ends, and sets CUDA_VISIBLE_DEVICES to them.

    To be called before CUDA is asked anything. Waits, with one line per minute, while all are taken. Does nothing where
    there is no GPU, where this process or the one that started it holds a lease, and where a scheduler chose.

    Args:
        count: how many GPUs, all or none.
        who: what asks for so many, for errors.
        visible: the devices that CUDA would show, in its order.
        sleep: how to wait so many seconds.

    Raises:
        UserError: there are fewer GPUs, or the folder of the leases is not this user's alone.
    """
    if LEASED in os.environ or _scheduler_chose():
        return
    devices = visible()
    if not devices:
        return
    if count > len(devices):
        source = f"{VISIBLE}={os.environ[VISIBLE]}" if VISIBLE in os.environ else "this machine"
        raise UserError(f"{who}: asks for {count} GPUs, but {source} has {len(devices)}; ask for {len(devices)}")
    taken = _wait_for(count, [file_of(device) for device in devices], sleep)
    spelled = _spellings(len(devices))
    os.environ[VISIBLE] = os.environ[LEASED] = ",".join(spelled[number] for number in taken)


def file_of(device: str) -> Path:
    """The file to lock for a device."""
    return _folder() / f"{device}.lease"


def _scheduler_chose() -> bool:
    """Whether a scheduler gave exactly one GPU to this job.

    Who else may compute on it is then up to the scheduler: a site may let jobs share a GPU. Of several, which a group
    of jobs gets, each process still needs its own; so it does in an allocation in which Snakemake runs jobs side by
    side. Leases of other allocations do not stand in the way: each is on a physical device.
    """
    given = os.environ.get(VISIBLE, "").split(",")
    return len(given) == 1 and given[0] != "" and SCHEDULED in os.environ


def _wait_for(count: int, files: Sequence[Path], sleep: Callable[[float], None]) -> list[int]:
    """Locks the first `count` files that are free, once so many are. Returns their numbers."""
    for seconds in itertools.count():
        taken = _claim_free(count, files)
        if taken:
            break
        if seconds % REMIND == 0:
            pids = ", ".join(pid for pid, _ in map(holder, files) if pid)
            waits = f"medbench: waiting for {count} of {len(files)} GPUs, taken by other jobs (processes {pids})"
            print(waits, file=sys.stderr, flush=True)
        sleep(1)
    return taken


def _claim_free(count: int, files: Sequence[Path]) -> list[int]:
    """Numbers of the files that are now locked; empty: too few are free, and none is kept."""
    taken: dict[int, int] = {}
    for number, path in enumerate(files):
        try:
            file = claim(path)
        except OSError as error:
            raise UserError(f"{path}: cannot be locked: {error.strerror} (set TMPDIR to another folder)") from error
        if file is not None:
            taken[number] = file
        if len(taken) == count:
            return list(taken)
    for file in taken.values():
        os.ftruncate(file, 0)  # nobody holds it
        os.close(file)
    return []


def _spellings(count: int) -> list[str]:
    """How CUDA_VISIBLE_DEVICES names each device that CUDA shows: as it does now, which CUDA surely understands."""
    given = os.environ.get(VISIBLE)
    return [str(number) for number in range(count)] if given is None else [name.strip() for name in given.split(",")]


def _folder() -> Path:
    """The folder of the leases: this user's alone, and the same for every job of the user on this machine.

    XDG_RUNTIME_DIR is not: it is removed, leases and all, when the user logs out, and cron jobs have none. Nor is
    tempfile.gettempdir(): it names another folder while the disk is full.
    """
    folder = Path(os.environ.get("TMPDIR") or TEMPORARY) / f"medbench-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror} (set TMPDIR to a writable folder)") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise UserError(f"{folder}: is not a folder that you alone can write; remove it, or set TMPDIR to another")
    return folder
