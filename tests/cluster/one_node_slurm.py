"""A SLURM cluster of one node, for tests and for trying a profile: root, Debian's packages, loopback alone, no systemd.

    python tests/cluster/one_node_slurm.py start /tmp/slurm   # prints the line that points SLURM's commands at it
    python tests/cluster/one_node_slurm.py stop /tmp/slurm

Everything that it writes lies in the folder: configuration, munge's key and socket, states, process ids, logs.
"""

import contextlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

INSTALL = "apt-get install -y --no-install-recommends slurm-wlm munge"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
DAEMONS = ("munged", "slurmctld", "slurmd")  # in the order in which they start
LONGEST_SOCKET = 90  # characters of the folder; a socket's whole path holds 107

FREEZER = Path("/sys/fs/cgroup/freezer")  # by which this SLURM tracks processes, as clusters do

# More CPUs than there are (config_overrides), so that jobs run side by side on any machine. Times are short, that a
# test need not wait: 10 s from SIGTERM to SIGKILL, 10 s until a silent node is down, 5 s until a requeued job starts.
SLURM_CONF = """\
ClusterName=one_node
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munged.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/{proctrack}
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/none
MpiDefault=none
GresTypes=gpu
ReturnToService=2
PropagateResourceLimits=NONE
MinJobAge=3600
KillWait=10
SlurmdTimeout=10
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=64000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=1-00:00:00
"""


def missing() -> str:
    """Why no cluster can run here, or nothing."""
    if os.geteuid() != 0:
        return "a one-node SLURM needs root"
    absent = [name for name in PROGRAMS if _program(name) is None]
    return f"no {', '.join(absent)} here: {INSTALL}" if absent else ""


def start(folder: Path, cpus: int = 8, gpus: int = 2) -> None:
    """Starts what of the cluster does not run yet and waits until the node takes jobs.

    Args:
        folder: of the cluster, made if need be; a short path, because a socket lies in it.
        cpus: that the node claims to have.
        gpus: likewise; files stand in for the devices.

    Raises:
        RuntimeError: a daemon ends at once, or the node takes no jobs within a minute.
    """
    folder = folder.resolve()
    if len(str(folder)) > LONGEST_SOCKET:
        raise RuntimeError(f"{folder}: longer than {LONGEST_SOCKET} characters, choose a shorter path")
    if not (folder / "slurm.conf").exists():
        _configure(folder, cpus, gpus)
    for name in DAEMONS:
        start_daemon(folder, name)
    _wait(lambda: _state(folder) in {"idle", "mixed", "allocated"}, 60, f"the node takes no jobs, see {folder}/*.log")


def stop(folder: Path) -> None:
    """Ends jobs, daemons and whatever else they started; a second call does nothing."""
    folder = folder.resolve()
    for name in reversed(DAEMONS):
        pid = _running(folder, name)
        if pid:
            os.kill(pid, signal.SIGTERM)
    for pid in started_from(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _wait(lambda: not any(_running(folder, name) for name in DAEMONS), 20, f"daemons of {folder} do not end")


def environment(folder: Path) -> dict[str, str]:
    """What points SLURM's commands at this cluster."""
    folder = folder.resolve()
    return {"SLURM_CONF": f"{folder}/slurm.conf", "PATH": f"{folder}/bin:{os.environ['PATH']}"}


def start_daemon(folder: Path, name: str) -> None:
    """Starts one of DAEMONS unless it runs."""
    if _running(folder, name):
        return
    arguments = ["-c"] if name == "slurmctld" else []  # knows nothing of jobs from before
    if name == "munged":
        files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        arguments = ["--force", *(f"--{option}={folder}/munged.{ending}" for option, ending in files.items())]
    done = subprocess.run(
        [_program(name), *arguments], env={**os.environ, **environment(folder)}, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"{name} does not start: {done.stderr.strip()} (see {folder}/{name}.log)")
    _wait(lambda: _running(folder, name) is not None, 20, f"{name} does not start, see {folder}/{name}.log")


def kill_daemon(folder: Path, name: str) -> None:
    """SIGKILL to one of DAEMONS."""
    pid = _running(folder, name)
    if pid:
        os.kill(pid, signal.SIGKILL)
    _wait(lambda: _running(folder, name) is None, 20, f"{name} does not end")


def lose_node(folder: Path) -> None:
    """Ends slurmd and all jobs like a power cut: nothing is left that could tell the controller."""
    kill_daemon(folder, "slurmd")
    jobs = [pid for pid in started_from(folder) if "SLURM_JOB_ID" in environ_of(pid) or _name(pid) == "slurmstepd"]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in jobs:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def started_from(folder: Path) -> list[int]:
    """Process ids of the cluster's daemons, of its jobs, and of what waits for one of them."""
    mark = f"SLURM_CONF={folder}/slurm.conf".encode()
    return [pid for pid in processes() if mark in _environ(pid) and pid != os.getpid()]


def processes() -> list[int]:
    """Every process id of the machine."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def environ_of(pid: int) -> dict[str, str]:
    """The environment that a process was started with; empty: it has ended."""
    pairs = (text.decode(errors="replace").partition("=") for text in _environ(pid))
    return {name: value for name, _, value in pairs}


def _configure(folder: Path, cpus: int, gpus: int) -> None:
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # munged lets clients reach its socket, or does not start
    (folder / "munged.key").write_bytes(os.urandom(1024))
    (folder / "munged.key").chmod(0o600)
    for number in range(gpus):  # a character device that is everywhere, or SLURM sets no CUDA_VISIBLE_DEVICES
        (folder / f"gpu{number}").symlink_to("/dev/null")
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-{gpus - 1}]\n")
    # Snakemake's plugin takes SLURM_CONF from the environment in which a job calls srun.
    srun = folder / "bin/srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {_program("srun")} "$@"\n')
    srun.chmod(0o755)
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    controller, node = _free_ports(2)
    text = SLURM_CONF.format(
        host=platform.node().partition(".")[0],
        folder=folder,
        proctrack="cgroup" if os.access(FREEZER, os.W_OK) else "linuxproc",
        cpus=cpus,
        gpus=gpus,
        controller_port=controller,
        node_port=node,
    )
    (folder / "slurm.conf").write_text(text)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in sockets]


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _state(folder: Path) -> str:
    command = ["sinfo", "--noheader", "--format=%T"]
    done = subprocess.run(command, env={**os.environ, **environment(folder)}, capture_output=True, text=True)
    return done.stdout.strip()


def _running(folder: Path, name: str) -> int | None:
    """The process id of a daemon that runs."""
    try:
        pid = int((folder / f"{name}.pid").read_text())
        state = Path(f"/proc/{pid}/stat").read_text()
    except (OSError, ValueError):
        return None
    return pid if f"({name})" in state and ") Z" not in state else None


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _environ(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _wait(ready, seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise RuntimeError(otherwise)
        time.sleep(0.1)


def main(arguments: list[str]) -> str:
    if len(arguments) != 2 or arguments[0] not in {"start", "stop"}:
        return "usage: one_node_slurm.py start|stop FOLDER"
    action, folder = arguments[0], Path(arguments[1])
    if missing():
        return missing()
    if action == "stop":
        stop(folder)
        return ""
    start(folder)
    print("export", *(f"{name}={value}" for name, value in environment(folder).items()))
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) or None)
