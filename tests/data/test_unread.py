"""Nothing vanishes: an image file that is not read is counted and named, and few of them stop a run."""

import os

import pytest
from PIL import Image

from medbench.core.errors import UserError
from medbench.data.prepare import prepare
from tests.data.test_folder import put, section, two_classes, write_table

DICOM = b"\0" * 128 + b"DICM"


@pytest.fixture
def root(tmp_path):
    return two_classes(tmp_path / "mine", n=40)


def test_files_that_are_not_read_are_named_on_the_card_and_in_the_log(root, capsys):
    (root / "ill" / "a.dcm").write_bytes(DICOM)
    (root / "ill" / "IM0001").write_bytes(DICOM)
    (root / "ill" / "gone.png").symlink_to("../store/gone.png")
    Image.new("L", (8, 8)).save(root / "loose.png")
    Image.new("L", (8, 8)).save(root / "well" / "b.ppm")
    (root / "well" / "notes.txt").write_text("no image")
    card = prepare(section(root), "mine", seed=0).card
    names = [line.split(":")[0] for line in card.skipped]
    assert names == ["ill/IM0001", "ill/a.dcm", "ill/gone.png", "loose.png", "well/b.ppm"]
    assert "lies in no class folder" in card.skipped[3] and "link to nothing" in card.skipped[2]
    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("left out: ")] == [
        f"left out: {line}" for line in card.skipped
    ]


def test_losing_more_than_a_tenth_stops(root):
    for n in range(8):
        (root / "ill" / f"{n}.dcm").write_bytes(DICOM)
    assert len(prepare(section(root), "mine", seed=0).card.skipped) == 8
    (root / "ill" / "8.dcm").write_bytes(DICOM)
    with pytest.raises(UserError, match=r"mine: 9 of 89 image files would be left out: ill/0\.dcm: .* \(and 8 more\)"):
        prepare(section(root), "mine", seed=0)


def test_links_to_nothing_stop_too(root):
    for n in range(40):
        (root / "ill" / f"{n:02}.png").unlink()
        os.symlink(f"../.git/annex/{n}", root / "ill" / f"{n:02}.png")
    with pytest.raises(UserError, match=r"40 of 80 image files would be left out: ill/00\.png: is a link to nothing"):
        prepare(section(root), "mine", seed=0)


def test_masks_beside_their_images_are_no_images(root):
    put(root / "ill" / "00_mask.png")
    put(root / "ill" / "00_mask_1.png")
    put(root / "well" / "01_segmentation.png")
    put(root / "well" / "death_mask.png")  # of no image here
    card = prepare(section(root), "mine", seed=0).card
    assert sum(map(sum, card.counts.values())) == 81
    names = "ill/00_mask.png, ill/00_mask_1.png, well/01_segmentation.png"
    assert card.notes[0] == f"3 masks beside their images are not read: {names}"
    assert card.skipped == []


@pytest.mark.parametrize("suffix", [".jfif", ".JPE"])
def test_a_jpeg_is_read_under_each_of_its_endings(root, suffix):
    Image.new("L", (8, 8), 50).save(root / "ill" / f"a{suffix}", "JPEG")
    card = prepare(section(root), "mine", seed=0).card
    assert card.skipped == [] and sum(map(sum, card.counts.values())) == 81


def test_images_beside_those_of_a_table_are_counted(root):
    rows = [f"{cls}/{n:02}.png,{cls}" for cls in ("ill", "well") for n in range(20)]
    card = prepare(section(root, table=write_table(root, "path,label\n" + "\n".join(rows))), "mine", seed=0).card
    said = "40 image files beside those of the table are not in it: ill/20.png, ill/21.png, ill/22.png, ..."
    assert card.notes[0] == said


def test_litter_of_every_system_is_nothing_at_all(root):
    clean = prepare(section(root), "mine", seed=0).card
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._00.png"):
        (root / "ill" / name).write_bytes(b"x")
    put(root / "ill" / "__MACOSX" / "00.png")
    assert prepare(section(root), "mine", seed=0).card == clean
