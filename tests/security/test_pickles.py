"""A pickle that runs code when it is loaded, planted wherever a stage reads: it never runs, and one line refuses it."""

import json
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from medbench.cli import main
from medbench.run.files import sha256_of
from medbench.run.sealed_files import write_npz
from medbench.run.seals import NPZ, UNSEALED, seal
from medbench.training.checkpoint import CheckpointStore

RAN = Path("ran")


class Bomb:
    def __reduce__(self):
        return Path.touch, (RAN,)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not RAN.exists()


@pytest.fixture
def refused(monkeypatch, capsys):
    """A function: the line in which a verb refuses what it was given, its last."""

    def run(*arguments: object) -> str:
        texts = [json.dumps(value) if isinstance(value, dict) else str(value) for value in arguments]
        monkeypatch.setattr(sys, "argv", ["medbench", *texts])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        *before, line = capsys.readouterr().err.splitlines()
        assert "Traceback" not in "".join(before)
        return line

    return run


def objects(path: Path) -> Path:
    """An npz of pickled objects, with a seal that holds."""
    np.savez(path, images=np.array([Bomb()]), train_images=np.array([Bomb()]), labels=np.zeros(1, np.int64))
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = f"seal {UNSEALED}".encode()
    seal(path, NPZ)
    return path


def plain(path: Path) -> Path:
    path.write_bytes(pickle.dumps(Bomb()))
    return path


def saved(path: Path) -> Path:
    torch.save({"weight": Bomb()}, path)
    return path


def test_the_bomb_works():
    """Else nothing here would show anything."""
    pickle.loads(pickle.dumps(Bomb()))
    assert RAN.exists()
    RAN.unlink()
    with np.load(objects(Path("a.npz")), allow_pickle=True) as archive:
        _ = archive["images"]
    assert RAN.exists()
    RAN.unlink()


FEATURES = {"seed": 0, "dimensions": [64], "batch_size": 2, "torch_threads": 1}


@pytest.mark.parametrize(
    ("make", "name", "said"),
    [
        (saved, "w.pth", "w.pth: cannot be loaded as plain tensors"),
        (plain, "w.pth", "w.pth: cannot be loaded as plain tensors"),
        (plain, "w.safetensors", "w.safetensors: is not a readable safetensors file"),
    ],
)
def test_in_weights_whose_hash_is_that_of_the_config(refused, make, name, said):
    file = make(Path(name))
    write_npz(Path("i.npz"), {"images": np.zeros((2, 8, 8), np.uint8)})
    section = FEATURES | {"weights_sha256": sha256_of(file)}
    line = refused("features", "i.npz", "f.safetensors", "--config", section, "--weights", file)
    assert line.startswith(f"medbench: {said}")


@pytest.mark.parametrize("make", [objects, plain])
def test_in_images_whose_features_are_asked_for(refused, make):
    section = FEATURES | {"weights_sha256": None}
    file = make(Path("samples.npz"))
    assert refused("features", file, "f.safetensors", "--config", section).startswith("medbench: samples.npz: ")


@pytest.mark.parametrize("make", [objects, plain])
def test_in_an_npz_of_a_users_own(refused, make):
    make(Path("mine.npz"))
    section = {"name": "mine", "dataset": {"kind": "npz", "path": "mine.npz"}, "seed": 0}
    assert refused("prepare", "out.npz", "--config", section).startswith("medbench: datasets.mine: mine.npz: ")


@pytest.mark.parametrize("make", [objects, plain, saved])
def test_in_an_image_of_a_users_own(refused, make):
    Path("photos/white").mkdir(parents=True)
    make(Path("photos/white/1.npz")).rename("photos/white/1.png")
    section = {"name": "mine", "dataset": {"kind": "folder", "path": "photos", "image_size": 8}, "seed": 0}
    line = refused("prepare", "out.npz", "--config", section)
    assert line.startswith("medbench: datasets.mine: photos/white/1.png: is not a readable image")


@pytest.mark.parametrize("make", [objects, plain])
def test_in_a_raw_dataset(refused, make):
    make(Path("x.raw.npz"))
    section = {"name": "x", "dataset": {"kind": "phantom", "subject": "ct"}, "seed": 0}
    arguments = ("--found", "x.json", "--config", section)
    assert refused("audit", "x.raw.npz", "x.npz", *arguments).startswith("medbench: x.raw.")


@pytest.mark.parametrize("make", [objects, plain, saved])
def test_in_features(refused, make):
    make(Path("f.npz")).rename("f.safetensors")
    section = {"dataset": "x", "dimension": 768, "torch_threads": 1}
    arguments = ("--train", "f.safetensors", "--test", "f.safetensors", "--found", "x.json")
    assert refused("neighbours", "x.npz", "--config", section, *arguments).startswith("medbench: f.safetensors: ")


def test_in_a_checkpoint_that_is_named_by_its_own_hash(tmp_path, capsys):
    store = CheckpointStore(tmp_path / "checkpoints", {})
    store.folder.mkdir()
    for step, make in enumerate((plain, saved)):
        file = make(store.folder / "planted")
        file.rename(store.folder / f"step{step:08d}-{sha256_of(file)[:16]}.pt")
    assert store.latest() is None
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert all("damaged checkpoint" in line for line in said)


def test_in_the_place_of_a_models_weights(tmp_path):
    """diffusers falls back to a .bin, which is a pickle, unless it is told not to."""
    from medbench.augmenters.annotated import AnnotatedUNet

    AnnotatedUNet(channels=1, width=8, multipliers=(1,), n_classes=None, standardization=True).save_pretrained(tmp_path)
    (weights,) = tmp_path.glob("*.safetensors")
    weights.unlink()
    saved(tmp_path / "diffusion_pytorch_model.bin")
    with pytest.raises(OSError, match=r"no file named diffusion_pytorch_model\.safetensors"):
        AnnotatedUNet.from_pretrained(tmp_path, local_files_only=True, use_safetensors=True)
