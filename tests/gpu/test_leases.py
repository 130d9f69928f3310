"""Jobs that share a machine's GPUs, and jobs that want several."""

import json
import subprocess
import sys

import pytest

from medbench.run.files import sha256_of
from medbench.run.formats import read_json
from tests.helpers.records import save

SECTION = {"kind": "annotated_ddpm", "width": 16, "multipliers": [1, 2], "timesteps": 10, "steps": 20}
SECTION |= {"batch_size": 24, "log_every": 10, "checkpoint_every": 5, "probe_images": 8, "horizontal_flip": False}
# Sums in another order round float32's last bits otherwise; other draws, or half of a batch, change a loss by 1e-2.
LOSS = {"rel": 1e-4, "abs": 1e-5}
# One process of a group, with what several exchange: numbers in memory, and tensors on the GPU.
EXCHANGE = """
import torch, torch.distributed as dist
from medbench.system.runtime import start
from medbench.core.sections import RuntimeStage
from medbench.training.team import leave
runtime = start(RuntimeStage(torch_threads=1))
number, weights = torch.tensor(3), torch.ones(5, device="cuda")
dist.all_reduce(number, dist.ReduceOp.MAX)
print(runtime.accelerator().reduce(weights, "mean").sum().item(), number.item())
leave()
"""


@pytest.fixture
def command(tmp_path, tiny_dataset):
    """The arguments of a training into a folder, on so many GPUs."""
    save(tiny_dataset(size=16), tmp_path / "tiny.npz")

    def make(folder: str, gpu: int = 1, **settings) -> list[str]:
        stage = {"name": "ddpm", "seed": 0, "torch_threads": 1, "augmenter": SECTION | {"gpu": gpu}} | settings
        paths = [tmp_path / "tiny.npz", tmp_path / folder, "--checkpoints", tmp_path / f"{folder}c"]
        command = [sys.executable, "-m", "medbench", "train", *paths, "--config", json.dumps(stage), "--seed", 0]
        return [str(argument) for argument in command]

    return make


def run(command):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_a_job_too_many_waits_and_both_end_with_the_same_bytes(tmp_path, on_gpu, command):
    """One more than there are GPUs: it waits for whichever is free first."""
    folders = [f"job{number}" for number in range(on_gpu + 1)]
    started = [
        subprocess.Popen(command(folder, deterministic=True), stderr=subprocess.PIPE, text=True) for folder in folders
    ]
    texts = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0] * len(started), texts
    assert sum(f"medbench: waiting for 1 of {on_gpu} GPUs, taken by other jobs" in text for text in texts) == 1
    weights = {sha256_of(tmp_path / folder / "unet/diffusion_pytorch_model.safetensors") for folder in folders}
    assert len(weights) == 1


def test_more_gpus_than_there_are_is_refused(tmp_path, on_gpu, command):
    many = on_gpu + 1
    refused = run(command("model", gpu=many, augmenter=SECTION | {"gpu": many, "batch_size": 12 * many}))
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert refused.stderr.startswith(
        f"medbench: augmenters.ddpm.gpu: asks for {many} GPUs, but this machine has {on_gpu};"
    )
    assert not (tmp_path / "model").exists()


def test_without_a_visible_gpu_cuda_is_refused(on_gpu, command, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    refused = run(command("model"))
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert refused.stderr.startswith("medbench: device: cuda: there is no GPU here")


def test_what_several_exchange_is_exchanged(tmp_path, on_gpu, monkeypatch):
    """A group of one: that gloo and NCCL start, beside each other, and answer."""
    member = {"MEDBENCH_RENDEZVOUS": tmp_path / "meet", "RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1}
    for name, value in (member | {"LOCAL_WORLD_SIZE": 1}).items():
        monkeypatch.setenv(name, str(value))
    done = run([sys.executable, "-c", EXCHANGE])
    assert done.returncode == 0, done.stderr
    assert done.stdout == "5.0 3\n"


def test_two_gpus_learn_what_one_does(tmp_path, on_gpu, command):
    if on_gpu < 2:
        pytest.skip("needs two GPUs")
    for folder, gpu in (("one", 1), ("two", 2)):
        done = run(command(folder, gpu, precision="fp32", deterministic=True))
        assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "two/medbench.json")["runtime"]["processes"] == 2
    losses = [_losses(tmp_path / folder / "training.csv") for folder in ("one", "two")]
    assert losses[1] == pytest.approx(losses[0], **LOSS)


def _losses(path) -> list[float]:
    header, *rows = (line.split(",") for line in path.read_text().splitlines())
    return [float(row[header.index("loss")]) for row in rows]
