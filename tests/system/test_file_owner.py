"""Whose files are believed."""

import os
import subprocess
from pathlib import Path

import pytest

from medbench.config import inputs
from medbench.config.load import load
from medbench.core.errors import UserError
from medbench.system.file_owner import require_trusted
from tests.helpers.configs import changed

STRANGER = 54321  # the number of no user
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "my weights" / "w.pth"
    file.parent.mkdir()
    file.write_bytes(b"weights")
    return file


def test_ones_own_file_passes_also_below_a_folder_for_everybody_with_a_sticky_bit(weights):
    weights.parent.chmod(0o1777)
    require_trusted(weights)


def test_what_a_group_writes_together_passes(weights):
    weights.chmod(0o664)
    weights.parent.chmod(0o2775)
    require_trusted(weights)


@pytest.mark.parametrize("which", ["file", "folder", "folder above"])
def test_what_everybody_can_write_is_refused_with_the_command_that_closes_it(weights, which):
    place = {"file": weights, "folder": weights.parent, "folder above": weights.parent.parent}[which]
    place.chmod(place.stat().st_mode | 0o002)
    spelled = str(place) if which == "folder above" else f"'{place}'"
    with pytest.raises(UserError) as refused:
        require_trusted(weights)
    assert str(refused.value).startswith(f"{weights}: everybody can write {place}: chmod o-w {spelled}, or copy the")
    subprocess.run(["sh", "-c", f"chmod o-w {spelled}"], check=True)
    require_trusted(weights)


def test_a_link_from_a_place_that_everybody_can_write_is_refused(weights, tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open" / "w.pth").symlink_to(weights)
    with pytest.raises(UserError, match=r"everybody can write .*open"):
        require_trusted(tmp_path / "open" / "w.pth")


@only_root
@pytest.mark.parametrize("which", ["file", "folder"])
def test_what_another_user_owns_is_refused(weights, which):
    place = weights if which == "file" else weights.parent
    os.chown(place, STRANGER, -1)
    with pytest.raises(UserError, match=rf"w\.pth: {place} belongs to user {STRANGER}, who may change it: copy the"):
        require_trusted(weights)


@only_root
def test_roots_files_are_as_good_as_ones_own(weights, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    require_trusted(weights)


@pytest.mark.parametrize("place", ["given", "fetched"])
def test_a_run_is_refused_before_any_job(weights, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = weights if place == "given" else Path("resources/weights/w.pth")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"weights")
    file.parent.chmod(0o777)
    where = {"path": str(file)} if place == "given" else {"url": "https://a.example/w.pth"}
    config = load(changed("fidelity.weights", where | {"sha256": "0" * 64}))
    with pytest.raises(UserError, match=r"^config: fidelity\.weights: .*w\.pth: everybody can write .*: chmod o-w"):
        inputs.check_paths(config)
