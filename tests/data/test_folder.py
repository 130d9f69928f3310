import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medbench.config.load import parse
from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS
from medbench.data.prepare import prepare
from medbench.data.sections import FolderDataset

SHARED = Path(__file__).parents[2].parent / "shared"
CHEST_CT = SHARED / "data" / "chest-ctscan-images.zip"


def put(path: Path, value: int = 0, mode: str = "L", size: tuple[int, int] = (10, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, 0, 0)).save(path)


def two_classes(root: Path, n: int = 20) -> Path:
    """root/{ill,well}/NN.png; the gray value of an image tells its number, plus 100 in `well`."""
    for number in range(n):
        put(root / "ill" / f"{number:02}.png", number)
        put(root / "well" / f"{number:02}.png", 100 + number)
    return root


def section(root: Path, **settings) -> FolderDataset:
    return FolderDataset(kind="folder", path=str(root), **{"image_size": 8, **settings})


def values(split) -> list[int]:
    """The gray value in the middle of each image, which tells the file that it was read from."""
    return split.images[:, 4, 4].tolist()


def test_a_folder_a_class_is_split_by_seed(tmp_path):
    dataset = prepare(section(two_classes(tmp_path / "mine")), "mine", seed=0)
    card = dataset.card
    assert card.classes == ["ill", "well"]
    assert card.patients == "unknown"
    assert card.counts == {"train": [14, 14], "val": [2, 2], "test": [4, 4]}
    assert card.source == "folder mine" and str(tmp_path) not in card.model_dump_json()
    assert card.notes == [
        "val (0.1) and test (0.2) drawn from the training images by seed 0: stratified by class, whole groups",
        "resized from 10 x 8 (width x height) to 8 x 8 pixels: bicubic, aspect kept, padded with black",
    ]
    for split in dataset.splits.values():
        assert [value >= 100 for value in values(split)] == (split.labels == 1).tolist()
    assert len({value for split in dataset.splits.values() for value in values(split)}) == 40


def test_the_split_depends_on_the_seed_and_on_nothing_else(tmp_path):
    root = two_classes(tmp_path / "mine")
    first, other_name = (prepare(section(root), name, seed=0) for name in ("a", "b"))
    other_seed = prepare(section(root), "a", seed=1)
    assert values(first.splits["test"]) == values(other_name.splits["test"])
    assert values(first.splits["test"]) != values(other_seed.splits["test"])
    assert first.card.source_sha256 == other_seed.card.source_sha256
    put(root / "ill" / "00.png", 55)
    assert prepare(section(root), "a", seed=0).card.source_sha256 != first.card.source_sha256


@pytest.mark.parametrize("val_name", ["val", "VALID", "Validation"])
def test_split_folders_are_used_as_they_are(tmp_path, val_name):
    for folder, base in (("Train", 0), (val_name, 20), ("test", 40)):
        for number in range(3):
            put(tmp_path / folder / "a" / f"{number}.PNG", base + number)
            put(tmp_path / folder / "b" / f"{number}.Png", base + 100 + number)
    dataset = prepare(section(tmp_path), "mine", seed=0)
    assert values(dataset.splits["train"]) == [0, 1, 2, 100, 101, 102]
    assert values(dataset.splits["val"]) == [20, 21, 22, 120, 121, 122]
    assert not any("drawn" in note for note in dataset.card.notes)


def test_a_missing_val_is_taken_from_train(tmp_path):
    two_classes(tmp_path / "train")
    two_classes(tmp_path / "test", n=5)
    dataset = prepare(section(tmp_path), "mine", seed=0)
    assert dataset.card.counts == {"train": [18, 18], "val": [2, 2], "test": [5, 5]}
    assert dataset.card.notes[0].startswith("val (0.1) drawn from the training images by seed 0")


def test_litter_is_ignored(tmp_path):
    root = two_classes(tmp_path)
    clean = prepare(section(root), "mine", seed=0)
    put(root / "__MACOSX" / "ill" / "00.png")
    put(root / ".cache" / "00.png")
    put(root / "ill" / ".00.png")
    (root / "ill" / "Thumbs.db").write_text("")
    (root / "README.txt").write_text("")
    assert prepare(section(root), "mine", seed=0).card == clean.card


def write_table(root: Path, text: str) -> str:
    root.mkdir(parents=True, exist_ok=True)
    (root / "table.csv").write_text(text, encoding="utf-8")
    return str(root / "table.csv")


def test_a_table_names_labels_splits_and_groups(tmp_path):
    root = two_classes(tmp_path, n=4)
    rows = [
        "ill/00.png,sick,train,p1",
        "well\\00.png, NA ,train,p2",
        "./ill/01.png,sick,VALID,p3",
        "well/01.png,NA,val,",
        "ill/02.png,sick,test,p4",
        '"well/02.png",NA,test,p4',
    ]
    table = write_table(root, "\ufeffpath,label,split,group\n" + "\n".join(rows) + "\n")
    dataset = prepare(section(root, table=table), "mine", seed=0)
    assert dataset.card.patients == "partly"
    assert dataset.card.classes == ["NA", "sick"]  # a label that pandas would take for a missing value
    assert [values(dataset.splits[name]) for name in SPLITS] == [[0, 100], [1, 101], [2, 102]]
    assert dataset.splits["test"].groups[0] == dataset.splits["test"].groups[1]
    assert dataset.splits["val"].groups[0] != dataset.splits["val"].groups[1]


def test_groups_of_a_table_are_never_divided(tmp_path):
    root = two_classes(tmp_path, n=30)
    rows = [f"{cls}/{number:02}.png,{cls},{cls}-{number // 3}" for cls in ("ill", "well") for number in range(30)]
    dataset = prepare(section(root, table=write_table(root, "path,label,group\n" + "\n".join(rows))), "mine", seed=0)
    patients = [
        {value // 3 if value < 100 else (value - 100) // 3 + 1000 for value in values(dataset.splits[name])}
        for name in SPLITS
    ]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 20
    assert dataset.card.patients == "known"
    # Of ten patients a class: seven, one and two.
    assert dataset.card.counts == {"train": [21, 21], "val": [3, 3], "test": [6, 6]}


BAD_TABLES = {
    "missing column": ("name;label\nill/00.png;a\n", r"has no column 'path' \(found name, label; expected path, label"),
    "column twice": ("path,label,label\nill/00.png,a,b\n", "has two columns 'label'"),
    "empty": ("", r"has no column 'path' \(found nothing"),
    "no rows": ("path,label\n", "names no image"),
    "no such file": ("path,label\nill/00.png,a\nill/99.png,a\n", "line 3: no such file: .*ill/99.png"),
    "absolute": ("path,label\n/etc/hosts,a\n", "line 2: /etc/hosts leads out of"),
    "escape": ("path,label\nill/../../x.png,a\n", r"line 2: ill/../../x.png leads out of"),
    "duplicate": ("path,label\nill/00.png,a\n\nill/./00.png,b\n", "line 4: ill/00.png is listed twice"),
    "split": ("path,label,split\nill/00.png,a,dev\n", "line 2: split 'dev' is not known"),
    "blank label": ("path,label\nill/00.png,\n", "line 2: label is empty"),
    "more cells": ("path,label\nill/00.png,a,b\n", "line 2: has more cells than the 2 columns"),
    "group in two splits": (
        "path,label,split,group\nill/00.png,a,train,p\nill/01.png,a,test,p\n",
        "line 3: group 'p' stands in both train and test",
    ),
    "no train": ("path,label,split\nill/00.png,a,test\nill/01.png,a,val\n", "has no train split"),
}


@pytest.mark.parametrize(("text", "message"), BAD_TABLES.values(), ids=BAD_TABLES.keys())
def test_a_bad_table_is_refused_by_its_line(tmp_path, text, message):
    root = two_classes(tmp_path, n=2)
    with pytest.raises(UserError, match=message) as refusal:
        prepare(section(root, table=write_table(root, text)), "mine", seed=0)
    assert "table.csv" in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_table_that_cannot_be_read_is_named(tmp_path):
    root = two_classes(tmp_path, n=2)
    with pytest.raises(UserError, match=r"none.csv: cannot be read: No such file"):
        prepare(section(root, table=str(root / "none.csv")), "mine", seed=0)
    (root / "latin.csv").write_bytes("path,label\nill/00.png,schön\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"latin.csv: is not a csv in UTF-8"):
        prepare(section(root, table=str(root / "latin.csv")), "mine", seed=0)


BAD_LAYOUTS = {
    "nothing": ([], "no such folder .expected one folder per class"),
    "loose images": (["00.png"], "has no class folder"),
    "too deep": (["ill/p1/00.png", "well/00.png"], "has the folder 'p1' inside a class"),
    "splits and others": (["train/a/0.png", "extra/a/0.png"], "has split folders and 'extra' beside them"),
    "val twice": (["train/a/0.png", "val/a/0.png", "valid/a/1.png"], "val and valid are the same split"),
    "only test": (["test/a/0.png"], "has no train split"),
    "class only in test": (["train/a/0.png", "val/a/0.png", "test/b/0.png"], "class 'b' has no training image"),
    "too few for three splits": (["a/0.png", "b/0.png"], "the val split has no image"),
}


@pytest.mark.parametrize(("files", "message"), BAD_LAYOUTS.values(), ids=BAD_LAYOUTS.keys())
def test_a_bad_layout_is_refused_in_one_line(tmp_path, files, message):
    root = tmp_path / "mine"
    for name in files:
        put(root / name)
    with pytest.raises(UserError, match=message) as refusal:
        prepare(section(root), "mine", seed=0)
    assert str(refusal.value).startswith(f"datasets.mine: {root}") and "\n" not in str(refusal.value)


def test_an_empty_class_folder_is_refused(tmp_path):
    root = two_classes(tmp_path)
    (root / "rare").mkdir()
    with pytest.raises(UserError, match=r"class 'rare' has no training image \(val 0, test 0\)"):
        prepare(section(root), "mine", seed=0)
    with pytest.raises(UserError, match="names no image"):
        (root / "none" / "a").mkdir(parents=True)
        prepare(section(root / "none"), "mine", seed=0)


def test_fractions_that_leave_no_training_image_are_refused(tmp_path):
    with pytest.raises(UserError, match="leave nothing to train on"):
        prepare(section(two_classes(tmp_path), val_fraction=0.5, test_fraction=0.5), "mine", seed=0)


def test_the_image_size_must_be_given():
    with pytest.raises(UserError, match="image_size: is required"):
        parse(FolderDataset, {"kind": "folder", "path": "photos"}, "datasets.mine")


def damage(root: Path) -> None:
    """A zero-byte, a truncated and an unreadable file among the others, and a header that claims 200,000 x 200,000."""
    (root / "ill" / "03.png").write_bytes(b"")
    noise = np.random.RandomState(0).randint(0, 256, (64, 64)).astype(np.uint8)
    Image.fromarray(noise).save(root / "ill" / "04.png")
    os.truncate(root / "ill" / "04.png", 2000)
    (root / "well" / "05.png").write_text("not an image")
    bitmap = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, 200_000, 200_000, 1, 24, 0, 0, 0, 0, 0, 0)
    (root / "well" / "bomb.bmp").write_bytes(bitmap)


def test_a_broken_image_stops_the_run_and_is_named(tmp_path):
    root = two_classes(tmp_path)
    damage(root)
    with pytest.raises(UserError, match=r"ill/03.png: is empty \(0 bytes\) \(and 3 more files\); mend or remove it"):
        prepare(section(root), "mine", seed=0)


def test_skip_broken_lists_what_it_left_out(tmp_path):
    root = two_classes(tmp_path)
    damage(root)
    card = prepare(section(root, skip_broken=True), "mine", seed=0).card
    assert [line.split(":")[0] for line in card.skipped] == ["ill/03.png", "ill/04.png", "well/05.png", "well/bomb.bmp"]
    assert "truncated" in card.skipped[1] and "decompression bomb" in card.skipped[3]
    assert str(tmp_path) not in "".join(card.skipped)
    assert np.sum(list(card.counts.values()), axis=0).tolist() == [18, 19]


def test_skipping_every_image_of_a_class_is_an_error(tmp_path):
    root = two_classes(tmp_path, n=10)
    for path in (root / "ill").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"10 of 20 image files would be left out: ill/00\.png: is empty"):
        prepare(section(root, skip_broken=True), "mine", seed=0)
    for path in (root / "well").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match="not one image can be read"):
        prepare(section(root, skip_broken=True), "mine", seed=0)


def test_gray_and_colour_mix_only_on_request(tmp_path):
    root = two_classes(tmp_path)
    put(root / "well" / "07.png", 200, mode="RGB")
    with pytest.raises(UserError, match=r"mixed \(ill/00.png is gray, well/07.png is colour\); set channels: 1 or"):
        prepare(section(root), "mine", seed=0)
    gray, colour = (prepare(section(root, channels=channels), "mine", seed=0).card for channels in (1, 3))
    assert gray.channels == 1 and "colour converted to gray (ITU-R 601 luma)" in gray.notes
    assert colour.channels == 3 and "gray repeated to three channels" in colour.notes


@pytest.mark.skipif(not CHEST_CT.exists(), reason="needs the shared images")
def test_chest_ct_mixes_modes_and_sizes(tmp_path):
    with zipfile.ZipFile(CHEST_CT) as archive:
        names = [name for name in archive.namelist() if name.startswith("Data/train/") and not name.endswith("/")]
        archive.extractall(tmp_path, names)
    root = tmp_path / "Data" / "train"
    with pytest.raises(UserError, match="gray and colour images are mixed"):
        prepare(section(root, image_size=32), "ct", seed=0)
    card = prepare(section(root, image_size=32, channels=1), "ct", seed=0).card
    assert [name.split("_")[0] for name in card.classes] == [
        "adenocarcinoma",
        "large.cell.carcinoma",
        "normal",
        "squamous.cell.carcinoma",
    ]
    assert np.sum(list(card.counts.values()), axis=0).tolist() == [195, 115, 148, 155]
    assert card.image_size == (32, 32) and card.skipped == []
