"""A pickle that runs code when it is loaded, planted wherever a stage reads: it never runs, and one line refuses it."""

import ast
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from medbench.augmenters.annotated import AnnotatedUNet
from medbench.run.files import sha256_of
from medbench.training.checkpoint import CheckpointStore
from tests.helpers.builders import card_of
from tests.helpers.records import record, write_json, write_model, write_npz

RAN = Path("ran")


class Bomb:
    def __reduce__(self):
        return Path.touch, (RAN,)


@pytest.fixture(autouse=True)
def nothing_ran(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not RAN.exists()


def objects(path: Path) -> Path:
    """An npz of pickled objects."""
    np.savez(path, images=np.array([Bomb()]), train_images=np.array([Bomb()]), labels=np.zeros(1, np.int64))
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
    ("make", "name", "problem"),
    [
        (saved, "w.pth", "cannot be loaded as plain tensors"),
        (plain, "w.pth", "cannot be loaded as plain tensors"),
        (plain, "w.safetensors", "cannot be loaded as plain tensors"),
    ],
)
def test_in_weights_whose_hash_is_that_of_the_config(verb, make, name, problem):
    file = make(Path(name))
    write_npz(Path("i.npz"), {"images": np.zeros((2, 8, 8), np.uint8)})
    section = FEATURES | {"weights_sha256": sha256_of(file)}
    code, line = verb("features", "i.npz", "f.safetensors", "--config", section, "--weights", file)
    assert code == 2 and line.startswith(f"medbench: {name}: {problem}")


def dataset(**section):
    return {"name": "x", "seed": 0, "dataset": section}


NEIGHBOURS = {"dataset": "x", "dimension": 768, "torch_threads": 1}
COMMANDS = {  # a file -> the verb that reads it, and its section
    "samples.npz": ("features samples.npz f.safetensors", FEATURES | {"weights_sha256": None}),
    "mine.npz": ("prepare out.npz", dataset(kind="npz", path="mine.npz")),
    "photos/white/1.png": ("prepare out.npz", dataset(kind="folder", path="photos", image_size=8)),
    "x.raw.npz": ("audit x.raw.npz x.npz --found found.json", dataset(kind="phantom", subject="ct")),
    "f.safetensors": ("neighbours x.npz --found found.json --train f.safetensors --test f.safetensors", NEIGHBOURS),
}


@pytest.mark.parametrize("make", [objects, plain, saved])
@pytest.mark.parametrize("name", COMMANDS)
def test_in_a_file_that_a_verb_reads(verb, make, name):
    """Whose record holds, where it is a run's."""
    command, section = COMMANDS[name]
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    write_model(Path("x.raw.json"), card_of("x", ["a", "b"]))
    write_npz(Path("x.npz"), {})
    write_json(Path("x.json"), {})
    make(Path("planted.npz")).rename(name)
    record(Path(name))
    where = "datasets.x: " if command.startswith("prepare") else ""
    code, line = verb(*command.split(), "--config", section)
    assert code == 2 and line.startswith(f"medbench: {where}{name.removesuffix('.npz')}")


def test_in_a_checkpoint_that_is_named_by_its_own_hash(tmp_path, capsys):
    store = CheckpointStore(tmp_path / "checkpoints", {})
    store.folder.mkdir()
    for step, make in enumerate((plain, saved)):
        file = make(store.folder / "planted")
        file.rename(store.folder / f"step{step:08d}-{sha256_of(file)[:16]}.pt")
    assert store.latest() is None
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all("damaged checkpoint" in line for line in lines)


def test_in_the_place_of_a_models_weights(tmp_path):
    """diffusers falls back to a .bin, which is a pickle, unless it is told not to."""
    AnnotatedUNet(channels=1, width=8, multipliers=(1,), n_classes=None, standardization=True).save_pretrained(tmp_path)
    (weights,) = tmp_path.glob("*.safetensors")
    weights.unlink()
    saved(tmp_path / "diffusion_pytorch_model.bin")
    with pytest.raises(OSError, match=r"no file named diffusion_pytorch_model\.safetensors"):
        AnnotatedUNet.from_pretrained(tmp_path, local_files_only=True, use_safetensors=True)


# Every call of a loader in the package says so ------------------------------------------------------------------

# Loader -> what each call of it must say.
SAFE = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
    "from_pretrained": ("use_safetensors", True),
}
NEVER = {"yaml.load", "pickle.load", "pickle.loads", "pickle.Unpickler", "joblib.load", "torch.hub.load", "os.system"}
NEVER |= {"torch.jit.load", "eval", "exec", "load_state_dict_from_url", "pd.read_pickle", "os.popen"}


def unsafe_calls(source: str) -> Iterator[str]:
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        arguments = {word.arg: word.value.value for word in call.keywords if isinstance(word.value, ast.Constant)}
        for loader, (argument, value) in SAFE.items():
            if (name == loader or name.endswith(f".{loader}")) and arguments.get(argument) is not value:
                yield f"{name} at line {call.lineno} without {argument}={value}"
        if name in NEVER or arguments.get("shell") is True:
            yield f"{name} at line {call.lineno}"


UNSAFE = "torch.load(path)", "torch.load(path, weights_only=False)", "np.load(path)", "UNet.from_pretrained(folder)"


@pytest.mark.parametrize("source", [*UNSAFE, "yaml.load(text)", "subprocess.run(command, shell=True)"])
def test_an_unsafe_call_is_found(source):
    assert list(unsafe_calls(source))


def test_there_is_none(root: Path):
    files = sorted((root / "medbench").rglob("*.py"))
    unsafe = [f"{file.relative_to(root)}: {call}" for file in files for call in unsafe_calls(file.read_text())]
    assert len(files) > 100
    assert not unsafe
