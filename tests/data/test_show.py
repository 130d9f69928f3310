"""What the list of known datasets says of a file that is here."""

import pytest

from medbench.data.known import CHEST_CT, medmnist
from medbench.data.known.catalogue import list_known, show_known
from tests.data.known import record, unpacked

BREAST = medmnist.facts("breastmnist", 28).remote


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def breast(**found):
    BREAST.path.parent.mkdir(parents=True)
    BREAST.path.write_bytes(b"images")
    record(BREAST, **found)


def test_a_file_is_verified_only_by_its_published_hash():
    breast(proved_by=BREAST.hash)
    said = f"verified (md5 {BREAST.hash[4:12]}...)"
    assert f"resources/medmnist/breastmnist.npz: {said}" in show_known("breastmnist")
    row = next(line for line in list_known().splitlines() if line.startswith("breastmnist "))
    assert row.endswith(f"  28: {said}")


def test_without_a_published_hash_the_content_is_yet_to_be_counted():
    unpacked(CHEST_CT.remote, ["cats/a"])
    size = ", of the published size" if CHEST_CT.remote.size else ""
    assert f"images.zip: here{size}, its content is counted when it is prepared" in show_known("chest_ct")


def test_an_accepted_difference_is_no_proof():
    breast(differs="breastmnist.npz has md5:1, expected md5:2")
    assert "breastmnist.npz: here, accepted although it differs" in show_known("breastmnist")


def test_a_file_that_was_changed_is_told():
    breast(proved_by=BREAST.hash)
    BREAST.path.write_bytes(b"fewer")
    assert "breastmnist.npz: was changed since it was fetched" in show_known("breastmnist")
