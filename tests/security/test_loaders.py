"""Nothing in the package loads what could run code: every call of a loader says so."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

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
        said = {word.arg: word.value.value for word in call.keywords if isinstance(word.value, ast.Constant)}
        for loader, (argument, value) in SAFE.items():
            if (name == loader or name.endswith(f".{loader}")) and said.get(argument) is not value:
                yield f"{name} at line {call.lineno} without {argument}={value}"
        if name in NEVER or said.get("shell") is True:
            yield f"{name} at line {call.lineno}"


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path)",
        "UNet.from_pretrained(folder)",
        "yaml.load(text)",
        "subprocess.run(command, shell=True)",
    ],
)
def test_an_unsafe_call_is_found(source):
    assert list(unsafe_calls(source))


def test_there_is_none(root: Path):
    files = sorted((root / "medbench").rglob("*.py"))
    found = [f"{file.relative_to(root)}: {call}" for file in files for call in unsafe_calls(file.read_text())]
    assert len(files) > 100
    assert not found
