"""`deterministic: true` on a GPU: every kind, stopped and run again, ends with the bytes of an uninterrupted run."""

import os
import signal

import pytest

from medbench.augmenters.sample import sample
from medbench.augmenters.stage_sections import SampleStage, TrainStage
from medbench.augmenters.train import Inputs, train
from medbench.core.errors import Interrupted
from medbench.run.files import sha256_of
from medbench.run.formats import read_json
from medbench.training import loop
from medbench.utility.sections import UtilityStage
from medbench.utility.utility import utility
from tests.helpers.records import save
from tests.utility.test_utility import STAGE as UTILITY

SIZE = 32
TINY = {"steps": 6, "batch_size": 8, "log_every": 4, "probe_images": 8, "sample_batch_size": 4}
DIFFUSION = {**TINY, "layers_per_stage": 1, "timesteps": 20, "augment_probability": 0.5, "sample_steps": 4}
LATENT = {**DIFFUSION, "first_stage": "autoencoder", "widths": [32, 64], "heads": 2, "context_dim": 16}
KINDS = {
    "autoencoder": {**TINY, "widths": [16, 32], "discriminator_width": 8, "discriminator_from": 0.3},
    "annotated_ddpm": {**TINY, "width": 16, "multipliers": [1, 2], "timesteps": 10, "conditioning": "label"},
    "cddpm": {**DIFFUSION, "widths": [32, 64]},
    "cvae": {**TINY, "width": 16, "latent_dim": 8},
    "cgan": {**TINY, "width": 16, "latent_dim": 8},
    "ldm": LATENT,
    "medienet": LATENT,
}
COMMON = {"seed": 0, "torch_threads": 1, "deterministic": True}


@pytest.fixture
def dataset(tmp_path, tiny_dataset, gpus, monkeypatch):
    monkeypatch.setenv("MEDBENCH_DEVICE", "cuda")
    save(tiny_dataset(size=SIZE), tmp_path / "tiny.npz")
    return tmp_path / "tiny.npz"


@pytest.fixture
def signalled(monkeypatch):
    """A function that runs another until a signal after its third step."""

    def run(work) -> None:
        class Stopping(loop.Progress):
            def update(self, done, note=""):
                if done == 3:
                    os.kill(os.getpid(), signal.SIGTERM)

        with monkeypatch.context() as patch, pytest.raises(Interrupted, match="stopped after step 4"):
            patch.setattr(loop, "Progress", Stopping)
            work()

    return run


def section(kind):
    return {"kind": kind, **KINDS[kind]}


def trained(dataset, folder, kind, first_stage=None):
    stage = TrainStage(name=kind, augmenter=section(kind), **COMMON)
    train(dataset, folder / kind, stage, 0, folder / "checkpoints", Inputs(first_stage))
    return folder / kind


def sampled(model, folder, kind):
    stage = SampleStage(name=kind, augmenter=section(kind), n=8, **COMMON)
    sample(model, folder / "samples.npz", stage, 0, folder / "sampling")
    return sha256_of(folder / "samples.npz")


def content(folder):
    return {str(path.relative_to(folder)): sha256_of(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_an_augmenter(tmp_path, dataset, signalled, kind):
    latent = "first_stage" in KINDS[kind]
    first = trained(dataset, tmp_path / "first", "autoencoder") if latent else None
    whole = trained(dataset, tmp_path / "whole", kind, first)
    signalled(lambda: trained(dataset, tmp_path / "cut", kind, first))
    cut = trained(dataset, tmp_path / "cut", kind, first)
    assert read_json(whole / "medbench.json")["runtime"]["device"] == "cuda"
    assert content(cut) == content(whole)
    assert sampled(cut, tmp_path / "cut", kind) == sampled(whole, tmp_path / "whole", kind)


@pytest.mark.parametrize("network", ["resnet18", "resnet50"])
def test_classifiers(tmp_path, dataset, signalled, network):
    classifier = UTILITY["classifier"] | {"network": network, "image_size": SIZE, "steps": 6, "validations": 2}
    stage = UtilityStage(**{**UTILITY, **COMMON, "classifier": classifier})

    def logits_of(folder):
        utility(dataset, None, folder / "out.json", stage, None, folder / "checkpoints")
        return content(folder)

    signalled(lambda: logits_of(tmp_path / "cut"))
    assert logits_of(tmp_path / "cut") == logits_of(tmp_path / "whole")
