import pytest
import torch
from safetensors.torch import save_file

from medbench.core.errors import UserError
from medbench.data.weights import load_state
from medbench.run.files import sha256_of

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}


@pytest.mark.parametrize(("name", "save"), [("w.safetensors", save_file), ("w.pth", torch.save)])
def test_both_formats_give_the_same_state(tmp_path, name, save):
    save(STATE, tmp_path / name)
    state = load_state(tmp_path / name, sha256_of(tmp_path / name), "weights")
    assert set(state) == set(STATE)
    assert all(torch.equal(state[key], value) for key, value in STATE.items())


def test_another_hash_is_refused(tmp_path):
    save_file(STATE, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=r"w.safetensors: sha256 is [0-9a-f]{64}, expected 0{64}; remove the file"):
        load_state(tmp_path / "w.safetensors", "0" * 64, "weights")


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x80" * 64], ids=["empty", "text", "binary"])
def test_a_damaged_safetensors_file_is_refused_in_one_line(tmp_path, content):
    file = tmp_path / "w.safetensors"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"w.safetensors: cannot be loaded as plain tensors \(.+\); give") as refused:
        load_state(file, sha256_of(file), "weights")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "problem"), [([1, 2], "no state dict"), (b"", "cannot be loaded"), (b"no", "cannot")]
)
def test_a_pth_that_holds_no_tensors_by_name_is_refused(tmp_path, content, problem):
    file = tmp_path / "w.pth"
    with pytest.raises(UserError, match="no such file"):
        load_state(file, "0" * 64, "weights")
    torch.save(content, file) if isinstance(content, list) else file.write_bytes(content)
    with pytest.raises(UserError, match=problem):
        load_state(file, sha256_of(file), "weights")
