import os
import shutil
import signal
import subprocess
import sys

import pytest

from medbench.core.errors import UserError
from medbench.core.sections import RuntimeStage
from medbench.system import device as devices
from medbench.system import gpu_lock as leases
from medbench.system import runtime
from medbench.system.gpu_lock import LEASED, SCHEDULED, VISIBLE, file_of, lease, visible_devices

# A job on a machine of two GPUs: takes its lease, says which device it got, and keeps it until it is told to end.
JOB = """
import os, sys, time
from medbench.system.gpu_lock import lease
names = {"0": "aa", "1": "bb", "GPU-aa": "aa", "GPU-bb": "bb"}
shown = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "0,1").split(",") if name]
lease(int(sys.argv[1]), "the job", lambda: [names[name] for name in shown], lambda seconds: time.sleep(0.02))
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""
# What a program links to as CUDA's driver: two GPUs, of which CUDA_VISIBLE_DEVICES=1 shows only the second.
DRIVER = """
#include <stdlib.h>
#include <string.h>
static int first(void) { const char *shown = getenv("CUDA_VISIBLE_DEVICES"); return shown && !strcmp(shown, "1"); }
int cuInit(unsigned flags) { return getenv("BROKEN") ? (abort(), 0) : getenv("CUDA_ABSENT") ? 100 : 0; }
int cuDeviceGetCount(int *count) { *count = 2 - first(); return 0; }
int cuDeviceGet(int *device, int index) { *device = index + first(); return 0; }
int cuDeviceGetPCIBusId(char *place, int length, int device) { strcpy(place, "0000:3b:00.0"); return 0; }
#ifndef OLD
int cuDeviceGetUuid_v2(char *uuid, int device) { memset(uuid, 0xa0 + device, 16); return 0; }
#endif
"""


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """No leases, no scheduler, all devices visible."""
    for name in (VISIBLE, LEASED, SCHEDULED):
        monkeypatch.setenv(name, "")  # noted, so that what a test sets is undone
        monkeypatch.delenv(name)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return monkeypatch


@pytest.fixture
def job():
    """Starts jobs, each in a process of its own, and ends them with the test."""
    started = []

    def start(count: int = 1, **environment: str) -> subprocess.Popen:
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        command = [sys.executable, "-c", JOB, str(count)]
        started.append(subprocess.Popen(command, text=True, env={**os.environ, **environment}, **pipes))
        return started[-1]

    yield start
    for process in started:
        with process:
            process.kill()


def device_of(process):
    return process.stdout.readline().strip()


def test_two_jobs_get_a_device_each_and_a_third_waits_until_one_is_killed(job):
    first, second = job(), job()
    assert {device_of(first), device_of(second)} == {"0", "1"}
    third = job()
    line = third.stderr.readline()
    assert line.startswith("medbench: waiting for 1 of 2 GPUs, taken by other jobs (processes ")
    assert str(first.pid) in line and str(second.pid) in line
    os.kill(first.pid, signal.SIGKILL)
    assert device_of(third) in ("0", "1")
    assert third.communicate()[1] == ""  # a minute has not passed
    second.communicate()
    assert device_of(job()) == "0", "the first free one"


@pytest.mark.parametrize(
    ("first", "second", "got"),
    [("0", "GPU-aa, GPU-bb", "GPU-bb"), ("GPU-bb", "1,0", "0"), ("1,0", "0,1", "0"), ("GPU-aa,0", "1", "1")],
)
def test_one_gpu_is_one_gpu_however_it_is_spelled(job, first, second, got):
    assert device_of(job(CUDA_VISIBLE_DEVICES=first)) == first.split(",")[0]
    assert device_of(job(CUDA_VISIBLE_DEVICES=second)) == got


# Also where Snakemake starts jobs side by side, as within `srun --gres=gpu:1 --pty bash`.
@pytest.mark.parametrize(("shown", "spelled", "more"), [("1", "GPU-bb", {}), ("0", "0", {"SLURM_JOB_ID": "4242"})])
def test_a_job_waits_for_its_only_visible_device_though_another_is_free(job, shown, spelled, more):
    first = job(CUDA_VISIBLE_DEVICES=shown, **more)
    assert device_of(first) == shown
    waiting = job(CUDA_VISIBLE_DEVICES=spelled, **more)
    assert "waiting for 1 of 1 GPUs" in waiting.stderr.readline()
    first.kill()
    assert device_of(waiting) == spelled


def test_a_job_of_two_gpus_takes_both_or_none(job):
    first = job()
    assert device_of(first) == "0"
    both = job(2)
    assert f"(processes {first.pid})" in both.stderr.readline()
    second = job()
    assert device_of(second) == "1"  # what one waits for is free for others meanwhile
    first.kill()
    second.kill()
    assert device_of(both) == "0,1"


def test_more_gpus_than_there_are_is_one_line(machine):
    with pytest.raises(UserError, match=r"^the job: asks for 3 GPUs, but this machine has 2; ask for 2$"):
        lease(3, visible=lambda: ["aa", "bb"])
    machine.setenv(VISIBLE, "1")
    message = r"^augmenters\.ldm\.gpu: asks for 2 GPUs, but CUDA_VISIBLE_DEVICES=1 has 1; ask for 1$"
    with pytest.raises(UserError, match=message):
        lease(2, "augmenters.ldm.gpu", lambda: ["bb"])


@pytest.mark.parametrize("shown", [None, ""])
def test_without_a_device_nothing_is_leased_and_nothing_set(job, machine, tmp_path, shown):
    if shown is not None:
        machine.setenv(VISIBLE, shown)
    lease(visible=list)
    assert os.environ.get(VISIBLE) == shown
    assert LEASED not in os.environ
    assert list(tmp_path.iterdir()) == []


def test_who_waits_says_so_again_every_minute(job, capsys):
    holder = job()
    device_of(holder)
    waited = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if sum(waited) == 121:
            holder.kill()
            holder.wait()

    lease(visible=lambda: ["aa"], sleep=sleep)
    assert sum(waited) == 121
    assert len(capsys.readouterr().err.splitlines()) == 3  # at once, after one minute and after two
    assert os.environ[VISIBLE] == "0"


def test_the_one_device_that_a_scheduler_gave_a_job_is_left_to_it(machine):
    machine.setenv(VISIBLE, "1")
    machine.setenv(SCHEDULED, "yes")
    lease(visible=lambda: pytest.fail("no lease is needed"))
    assert os.environ[VISIBLE] == "1"


@pytest.mark.parametrize("shown", ["0,1", None])
def test_of_several_that_a_scheduler_gave_each_process_gets_its_own(job, machine, shown):
    machine.setenv(SCHEDULED, "yes")
    if shown:
        machine.setenv(VISIBLE, shown)
    assert {device_of(job()), device_of(job())} == {"0", "1"}


def test_what_a_holder_starts_computes_on_its_device(job, machine):
    lease(visible=lambda: ["aa", "bb"])
    assert os.environ[VISIBLE] == "0"
    lease(visible=lambda: pytest.fail("this process has its device"))
    assert device_of(job()) == "0"
    machine.delenv(LEASED)
    machine.delenv(VISIBLE)
    assert device_of(job()) == "1"


def test_leases_can_be_switched_off(job, machine):
    machine.setenv(LEASED, "off")
    assert {device_of(job()), device_of(job())} == {"None"}  # both see all devices


@pytest.mark.parametrize("hostile", ["of another user", "open to all", "a link"])
def test_a_folder_that_others_can_write_is_refused(machine, tmp_path, hostile):
    folder = tmp_path / f"medbench-{os.geteuid()}"
    if hostile == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    elif hostile == "open to all":
        folder.mkdir()
        folder.chmod(0o777)
    else:
        stranger = os.geteuid() + 1
        folder.with_name(f"medbench-{stranger}").mkdir(mode=0o700)
        machine.setattr(leases.os, "geteuid", lambda: stranger)
    with pytest.raises(UserError, match=r"medbench-\d+: is not a folder that you alone can write; remove it") as error:
        lease(visible=lambda: ["aa"])
    assert "\n" not in str(error.value)
    assert VISIBLE not in os.environ


def test_a_folder_that_cannot_be_made_is_one_line(machine, tmp_path):
    machine.setenv("TMPDIR", str(tmp_path / "missing"))
    with pytest.raises(UserError, match=r"cannot be made: No such file or directory \(set TMPDIR"):
        lease(visible=lambda: ["aa"])


def test_a_link_in_the_place_of_a_lease_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("kept")
    file_of("aa").symlink_to(victim)
    with pytest.raises(UserError, match=r"aa\.lease: cannot be locked"):
        lease(visible=lambda: ["aa"])
    assert victim.read_text() == "kept"
    assert file_of("aa").parent.stat().st_mode & 0o777 == 0o700, "only this user can read the leases"


@pytest.fixture
def driver(tmp_path, machine):
    """Puts a driver of two GPUs in the place of CUDA's."""
    if not shutil.which("cc"):
        pytest.skip("needs a C compiler")

    def build(*options: str) -> None:
        (tmp_path / "driver.c").write_text(DRIVER)
        command = ["cc", "-shared", "-fPIC", "-w", *options, "-o", "libcuda.so.1", "driver.c"]
        subprocess.run(command, cwd=tmp_path, check=True)
        machine.setenv("LD_LIBRARY_PATH", str(tmp_path))

    return build


def test_the_driver_names_the_devices_that_are_visible(driver, machine):
    driver()
    assert visible_devices() == ["a0" * 16, "a1" * 16]
    machine.setenv(VISIBLE, "1")
    assert visible_devices() == ["a1" * 16]
    machine.setenv("CUDA_ABSENT", "1")
    assert visible_devices() == []


def test_an_old_driver_names_a_place_on_the_bus(driver, machine):
    driver("-DOLD")
    machine.setenv(VISIBLE, "1")
    assert visible_devices() == ["0000:3b:00.0"]
    lease()
    assert file_of("0000:3b:00.0").exists()


def test_a_driver_that_crashes_is_one_line(driver, machine):
    driver()
    machine.setenv("BROKEN", "1")
    with pytest.raises(UserError, match=r"^the CUDA driver does not say which GPUs there are \(exit code -6\)[^\n]+$"):
        visible_devices()


def test_the_devices_are_those_that_torch_sees():
    if not shutil.which("nvidia-smi"):
        pytest.skip("needs a GPU")
    ask = "import torch; print(*[torch.cuda.get_device_properties(i).uuid for i in range(torch.cuda.device_count())])"
    seen = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    assert visible_devices() == seen.replace("-", "").split()


def test_a_stage_takes_its_lease_before_cuda_is_asked(machine):
    asked = []
    machine.setenv(devices.DEVICE, "auto")
    machine.setattr(runtime.torch.backends.cuda, "is_built", lambda: True)
    machine.setattr(devices, "lease", lambda *_: asked.append("lease"))
    machine.setattr(runtime.torch.cuda, "is_available", lambda: asked.append("cuda") or False)
    assert runtime.start(RuntimeStage(torch_threads=1)).device == "cpu"
    assert asked == ["lease", "cuda"]


def test_leases_bring_no_torch():
    ask = "import sys, medbench.system.gpu_lock; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout == "False\n"
