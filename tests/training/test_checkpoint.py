import errno
import os

import pytest
import torch

from medbench.core.errors import UserError
from medbench.system.folder_lock import LOCK, claim, held
from medbench.training.checkpoint import CheckpointStore


@pytest.fixture
def store(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints", {"loss": "l2"})
    for step in (10, 20, 30):
        store.save(step, {"weight": torch.full((3,), float(step)), "history": [{"step": step}]})
    return store


def test_the_newest_two_are_kept(store):
    assert [path.name[:12] for path in sorted(store.folder.iterdir())] == ["step00000020", "step00000030"]
    step, state = store.latest()
    assert (step, state["history"]) == (30, [{"step": 30}])
    assert torch.equal(state["weight"], torch.full((3,), 30.0))


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty"])
def test_a_damaged_newest_falls_back_to_the_one_before(store, damage, capsys):
    newest = sorted(store.folder.iterdir())[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes({"flip": bytes(content), "truncate": bytes(content[:100]), "empty": b""}[damage])
    assert store.latest()[0] == 20
    assert "damaged checkpoint, going back" in capsys.readouterr().err


def test_none_is_left(store, capsys):
    for path in store.folder.iterdir():
        path.write_bytes(b"damaged")
    assert store.latest() is None
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("damaged checkpoint, going back to the one before")
    assert second.endswith("damaged checkpoint, no other is left, starting anew")


def test_a_damaged_one_of_a_later_step_does_not_outlive_those_that_follow(store):
    sorted(store.folder.iterdir())[-1].write_bytes(b"damaged")
    store.save(25, {})
    assert [path.name[:12] for path in sorted(store.folder.iterdir())] == ["step00000020", "step00000025"]


def test_a_disk_without_room_leaves_the_older_ones(store, monkeypatch):
    before = sorted(store.folder.iterdir())

    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(type(store.folder), "write_bytes", full)
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        store.save(40, {})
    assert sorted(store.folder.iterdir()) == before
    assert store.latest()[0] == 30


def test_what_a_kill_left_is_removed(store):
    left = store.folder / ".step00000040-0123456789abcdef.pt.abcd1234"
    left.mkdir()
    (left / "step00000040-0123456789abcdef.pt").write_bytes(b"half")
    assert store.latest()[0] == 30
    assert not left.exists()


def test_a_checkpoint_of_another_section_is_refused_and_kept(store):
    other = CheckpointStore(store.folder, {"loss": "huber"})
    with pytest.raises(UserError, match=r'made with loss "l2", not "huber"; .*remove .*checkpoints to start again'):
        other.latest()
    assert store.latest()[0] == 30


def test_the_remedy_is_for_the_whole_job_which_holds_a_folder_above(store):
    os.close(claim(store.folder.parent / LOCK))
    with pytest.raises(UserError) as error:
        CheckpointStore(store.folder, {"loss": "l2", "threads": 2}).latest()
    assert "made with threads (nothing), not 2; restore that, or" in str(error.value)
    assert str(error.value).endswith(f"remove {store.folder.parent} to start again")


def test_what_led_nowhere_goes_with_all_components_of_the_job_and_nothing_of_another(tmp_path):
    run = tmp_path / "checkpoints"
    (run / ".lock").parent.mkdir()
    os.close(claim(run / ".lock"))  # as Snakemake held the run once
    first, second, other = (CheckpointStore(run / name, {}) for name in ("job/a", "job/b", "other/a"))
    for store in (first, second, other):
        store.save(1, {})
    first.discard()  # of a caller that holds no folder
    assert [store.latest() is None for store in (first, second, other)] == [True, False, False]
    with held(run / "job"):
        first.discard()
    assert [store.latest() is None for store in (first, second, other)] == [True, True, False]
