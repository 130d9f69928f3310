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


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "my weights" / "w.pth"
    file.parent.mkdir()
    file.write_bytes(b"weights")
    return file


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o644, 0o1777), (0o664, 0o2775)], ids=["sticky", "group"])
def test_the_users_file_passes_also_in_a_sticky_folder_and_where_a_group_writes(weights, file_mode, folder_mode):
    weights.chmod(file_mode)
    weights.parent.chmod(folder_mode)
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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_another_user_owns_is_refused_and_what_root_owns_passes(weights, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: STRANGER)
        require_trusted(weights)
    for place in (weights.parent, weights):
        os.chown(place, STRANGER, -1)
        belongs = rf"w\.pth: {place} belongs to user {STRANGER}, who may change it: copy the"
        with pytest.raises(UserError, match=belongs):
            require_trusted(weights)
        os.chown(place, os.geteuid(), -1)


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
