"""Every way to interrupt every stage that works for long: the same command again, and every byte is as without."""

import os
import shutil
import signal
import subprocess

import pytest

from tests.helpers.study import RUN, wait_until
from tests.interruption import ways
from tests.interruption.study import FOLLOWED_BY, PRODUCTS, Study, leftovers

pytestmark = pytest.mark.interruption

WAYS = {
    "SIGKILL": ways.killed,
    "SIGTERM": ways.asked_to_end(signal.SIGTERM),
    "SIGINT": ways.asked_to_end(signal.SIGINT),
    "a full disk": ways.on_a_full_disk,
    "a folder that turns read-only": ways.in_a_read_only_folder,
}
DAMAGES = {
    "train": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"),
    "sample": lambda path: path.write_bytes(b""),  # it has only this one
    "utility": lambda path: path.write_bytes(b"not a checkpoint"),
}
SMALL_DISK = {"utility": "size=700m"}  # some checkpoints of a ResNet18 with its optimiser; others are small


@pytest.fixture
def disk(tmp_path, request):
    """A folder to work in; for a disk to be filled one of its own."""
    folder = tmp_path / "work"
    folder.mkdir()
    case = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    if case.get("way") != "a full disk":
        yield folder
        return
    if os.geteuid() != 0:
        pytest.skip("a full disk: only root can mount a small one")
    size = SMALL_DISK.get(case["stage"], "size=32m")
    ways.mount("-t", "tmpfs", "-o", size, "none", folder)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def study(disk, reference):
    """The finished study in a copy of its own."""
    shutil.copytree(reference.run, disk / RUN)
    return Study(disk, reference.code)


@pytest.fixture
def begin(study, verbs):
    """Starts a stage's verb, whose checkpoints are those that its rule names."""
    started = []

    def start(stage: str) -> ways.Job:
        arguments = verbs[stage]
        place = arguments.index("--checkpoints") + 1 if "--checkpoints" in arguments else None
        log = study.run / "logs" / f"{stage}{len(started)}.log"
        started.append(study.start(arguments, log))
        return ways.Job(stage, started[-1], study.run, log, study.folder / arguments[place] if place else None)

    yield start
    for process in started:
        process.kill()
        process.wait()


def check(study, expected):
    assert leftovers(study.run) == []
    assert study.hashes() == expected


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stage", PRODUCTS)
def test_interrupted_and_run_again_every_byte_is_the_same(study, begin, verbs, expected, stage, way):
    again = (stage, *FOLLOWED_BY[stage]) if way == "SIGKILL" else (stage, "tables")  # the same bytes lead to the same
    study.forget(*again)
    WAYS[way](begin(stage))
    assert not (study.run / PRODUCTS[stage]).exists()
    study.several([verbs[stage] for stage in again])
    check(study, expected)


@pytest.mark.parametrize("stage", DAMAGES)
def test_a_damaged_newest_checkpoint_changes_no_byte(study, begin, verbs, expected, stage):
    study.forget(stage, "tables")
    ways.with_a_damaged_checkpoint(DAMAGES[stage])(begin(stage))
    again = begin(stage)
    assert again.process.wait() == 0, again.text()
    instead = "no other is left, starting anew" if stage == "sample" else "going back to the one before"
    assert f"damaged checkpoint, {instead}" in again.text()
    study.several([verbs["tables"]])
    check(study, expected)


def test_both_checkpoints_damaged_costs_all_steps_but_no_byte(study, begin, verbs, expected):
    study.forget("train", "tables")
    job = begin("train")
    ways.killed(job)
    for path in job.saved():
        path.write_bytes(path.read_bytes()[:100])
    again = begin("train")
    assert again.process.wait() == 0
    assert again.text().count("damaged checkpoint, going back to the one before") == 1
    assert again.text().count("damaged checkpoint, no other is left, starting anew") == 1
    study.several([verbs["tables"]])
    check(study, expected)


def test_a_second_process_with_the_same_checkpoints_is_refused(study, begin, verbs, expected):
    """As a second Snakemake would start it, beside a job that has outlived the first."""
    study.forget("train", "tables")
    first = begin("train")
    wait_until(lambda: any(first.run.glob("checkpoints/train/*/.lock")), "it had its checkpoints", first.process)
    second = begin("train")
    assert second.process.wait() == 2
    assert f"process {first.process.pid} on" in second.text()
    assert second.text().count("\n") == 1
    assert first.process.wait() == 0
    study.several([verbs["tables"]])
    check(study, expected)
