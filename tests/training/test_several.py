"""The verb itself with `gpu: 2`, on the CPU: whatever ends its processes, the same call goes on to the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medbench.augmenters.diffusion_sections import AnnotatedDDPM
from medbench.augmenters.stage_sections import TrainStage
from medbench.augmenters.train import train
from medbench.run.files import sha256_of
from medbench.run.formats import read_json
from medbench.system.launcher import ON_CPU
from tests.helpers.files import newest_step
from tests.helpers.processes import together
from tests.helpers.records import save

SECTION = {"kind": "annotated_ddpm", "width": 8, "multipliers": [1, 2], "timesteps": 10, "gpu": 2}
SECTION |= {"steps": 30, "batch_size": 8, "log_every": 10, "checkpoint_every": 3, "probe_images": 8}
STAGE = {"name": "ddpm", "seed": 0, "torch_threads": 1, "augmenter": SECTION}


def trained(runtime, rank, dataset, model, checkpoints):
    train(dataset, model, TrainStage(**STAGE | {"augmenter": AnnotatedDDPM(**SECTION)}), 0, checkpoints)


def children(process: subprocess.Popen) -> list[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(number) for number in listed.split()]


def weights(model: Path) -> dict[str, str]:
    return {str(path.relative_to(model)): sha256_of(path) for path in model.rglob("*") if path.suffix in SUFFIXES}


SUFFIXES = {".safetensors", ".csv", ".json"}


@pytest.mark.interruption
@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_killed_then_stopped_then_finished_is_bit_identical(tmp_path, tiny_dataset, monkeypatch):
    save(tiny_dataset(size=16), tmp_path / "tiny.npz")
    whole, model, checkpoints = (tmp_path / name for name in ("whole", "model", "checkpoints"))
    together(trained, tmp_path / "run", tmp_path / "tiny.npz", whole, tmp_path / "c")
    command = [sys.executable, "-m", "medbench", "train", str(tmp_path / "tiny.npz"), str(model)]
    command += ["--config", json.dumps(STAGE), "--seed", "0", "--checkpoints", str(checkpoints)]
    monkeypatch.setenv(ON_CPU, "1")

    def run(after: int, end) -> tuple[int, str]:
        """Ends the verb once a checkpoint of a step after `after` exists; its exit code and last line."""
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            while process.poll() is None and newest_step(checkpoints) <= after:
                time.sleep(0.02)
            started = children(process)
            assert len(started) == 2, process.stderr.read()
            end(process, started)
            code, text = process.wait(120), process.stderr.read()
        assert not any(Path(f"/proc/{number}").exists() for number in started)
        return code, text.splitlines()[-1]

    code, last = run(0, lambda process, started: os.kill(started[1], signal.SIGKILL))
    assert (code, last.partition(" (")[0]) == (2, "medbench: process 2 of 2 was ended by SIGKILL")
    code, last = run(newest_step(checkpoints), lambda process, started: process.terminate())
    assert code == 128 + signal.SIGTERM
    assert last.startswith("medbench: train tiny ddpm seed 0 unet: stopped after step ")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("medbench: done in ") == 1
    assert read_json(model / "medbench.json")["runtime"]["processes"] == 2
    assert weights(model) == weights(whole)


def test_without_a_gpu_the_verb_trains_in_one_process_and_says_so(tmp_path, tiny_dataset, medbench, monkeypatch):
    monkeypatch.delenv(ON_CPU, raising=False)
    save(tiny_dataset(), tmp_path / "tiny.npz")
    stage = STAGE | {"augmenter": SECTION | {"steps": 2}}
    arguments = ("--config", stage, "--seed", 0, "--checkpoints", tmp_path / "c")
    done = medbench("train", tmp_path / "tiny.npz", tmp_path / "model", *arguments)
    assert done.returncode == 0, done.stderr
    note = "note: augmenters.ddpm.gpu: 2, but this job computes on the CPU: one process, the same batches"
    assert note in done.stderr.splitlines()
    assert read_json(tmp_path / "model" / "medbench.json")["runtime"]["processes"] == 1
