"""A seal covers every byte of its file."""

import os

import numpy as np
import pytest

from medbench.core.errors import UserError
from medbench.data.feature_vectors import read_features, write_features
from medbench.run.files import write_text
from medbench.run.sealed_files import read_json, read_sealed_npz, write_json, write_npz
from medbench.run.seals import (
    HTML,
    SEALED_FORMATS,
    SUMS,
    Damaged,
    broken_seal,
    require_folder,
    require_member,
    require_sealed,
    write_html,
    write_sums,
    written_with,
)
from medbench.system.folder_lock import LOCK, claim

VALUE = {"name": "größe", "seal of": [1, {"seal": "0" * 64}], "zero": 0.0}
ARRAYS = {"images": np.arange(12, dtype=np.uint8).reshape(3, 2, 2), "64": np.ones((2, 4), np.float32)}
READERS = {
    "a.json": read_json,
    "a.npz": read_sealed_npz,
    "a.safetensors": read_features,
    "a.html": lambda path: require_sealed(path, HTML),
}


@pytest.fixture
def written(tmp_path):
    """A folder with a file of each kind."""
    write_json(tmp_path / "a.json", VALUE)
    write_npz(tmp_path / "a.npz", ARRAYS)
    write_features(tmp_path / "a.safetensors", {"64": ARRAYS["64"]}, {"made_with": "0", "extractor": "x"})
    write_html(tmp_path / "a.html", "<html>\n<p>page</p>\n</html>\n")
    return tmp_path


def test_what_is_read_is_what_was_written(written):
    assert read_json(written / "a.json") == VALUE
    assert {name: array.tolist() for name, array in read_sealed_npz(written / "a.npz").items()} == {
        name: array.tolist() for name, array in ARRAYS.items()
    }
    features, made_by = read_features(written / "a.safetensors")
    assert features["64"].tolist() == ARRAYS["64"].tolist()
    assert made_by == {"made_with": "0", "extractor": "x"}
    assert (written / "a.html").read_text().startswith("<html>\n<p>page</p>\n<!-- seal ")


@pytest.mark.parametrize("name", READERS)
def test_every_byte_counts(written, name):
    path = written / name
    content, kind = path.read_bytes(), SEALED_FORMATS[path.suffix]
    assert broken_seal(path, kind) is None
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert broken_seal(path, kind), at
    for at in range(0, len(content), 3):
        path.write_bytes(content[:at])
        assert broken_seal(path, kind), at


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_of_a_run_ends_in_one_line_with_the_command(written, name):
    os.close(claim(written / LOCK))
    path = written / name
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(Damaged) as error:
        READERS[name](path)
    assert str(error.value).startswith(f"{path}: is damaged (") and "\n" not in str(error.value)
    pages = {"a.html"}  # which have jobs of their own
    gone = sorted({name} if name in pages else READERS.keys() - pages)
    assert str(error.value).endswith(f"; remove it: rm -r {' '.join(str(written / file) for file in gone)}")
    path.unlink()
    with pytest.raises(UserError, match=f"{name}: cannot be read: No such file"):
        READERS[name](path)


@pytest.mark.parametrize("name", ["a.json", "a.npz"])
def test_a_file_without_a_seal_may_be_anybodys_where_no_run_is(written, name):
    path = written / name
    path.write_bytes(b"{}") if name == "a.json" else np.savez(path, images=np.zeros(1))
    with pytest.raises(UserError, match=rf"{name}: it carries no sha256 of itself.*; make it again$"):
        READERS[name](path)
    os.close(claim(written / LOCK))  # as Snakemake leaves it in a run's folder
    with pytest.raises(Damaged, match="remove it: rm -r "):
        READERS[name](path)


def test_a_model_goes_as_a_whole(tmp_path):
    write_json(tmp_path / "seed0/medbench.json", {})
    assert written_with(tmp_path / "seed0/medbench.json") == [tmp_path / "seed0"]


@pytest.fixture
def folder(tmp_path):
    write_text(tmp_path / "model/vae/weights.bin", "weights")
    write_text(tmp_path / "model/README.md", "# Model\n")
    write_sums(tmp_path / "model")
    write_text(tmp_path / "model/.snakemake_timestamp", "")
    return tmp_path / "model"


def test_every_byte_of_a_folder_counts(folder):
    before = require_folder(folder)
    for path in (folder / name for name in ("vae/weights.bin", "README.md", SUMS)):
        content = path.read_bytes()
        for at in range(len(content)):
            path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            with pytest.raises(UserError, match=rf"is damaged \(.*\); remove it: rm -r {folder}$"):
                require_folder(folder)
        path.write_bytes(content)
    assert require_folder(folder) == before


def test_what_is_missing_or_too_much_is_named(folder):
    require_member(folder, "README.md")
    write_text(folder / "mine.txt", "")
    with pytest.raises(UserError, match=r"mine\.txt: is damaged \(SHA256SUMS does not list it"):
        require_folder(folder)
    (folder / "README.md").unlink()
    with pytest.raises(UserError, match=r"README\.md: is damaged \(.*it is not there"):
        require_member(folder, "README.md")
    (folder / SUMS).unlink()
    with pytest.raises(UserError, match=r"model: holds no SHA256SUMS") as error:
        require_folder(folder)
    assert "rm -r" not in str(error.value)  # it may be anybody's
