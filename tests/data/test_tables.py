"""Tables in the forms in which people keep them: each column that says something is read, or refused by its name."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS
from medbench.data.prepare import prepare
from tests.data.test_folder import put, section, two_classes

HEADERS = [
    "path,label,Split,Group",
    "file_name,class,fold,patient_id",
    "Image Path,Target,SPLIT,Patient ID",
    "filename,diagnosis,subset,subject",
]


def lines(root: Path, header: str, delimiter: str = ",", split: bool = True) -> str:
    """Thirty images per class, three per patient; a whole patient in each split."""
    rows = [header.replace(",", delimiter)]
    for cls in ("ill", "well"):
        for n in range(30):
            part = ["train", "validation", "test"][(n // 3) % 3]
            rows.append(delimiter.join([f"{cls}/{n:02}.png", cls, part, f"{cls}-{n // 3}"][: 4 if split else 3]))
    return "\n".join(rows)


def prepared(root: Path, text: str, name: str = "table.csv", **settings):
    (root / name).write_text(text, encoding="utf-8")
    return prepare(section(root, table=str(root / name), **settings), "mine", seed=0)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(("name", "delimiter"), [("t.csv", ","), ("t.csv", ";"), ("t.tsv", "\t")])
def test_usual_names_in_any_capitals_and_any_delimiter(tmp_path, header, name, delimiter):
    root = two_classes(tmp_path, n=30)
    dataset = prepared(root, lines(root, header, delimiter), name)
    assert dataset.card.patients == "known"
    assert dataset.card.counts == {"train": [12, 12], "val": [9, 9], "test": [9, 9]}
    assert len(np.unique(np.concatenate([dataset.splits[name].groups for name in SPLITS]))) == 20


def test_a_parquet_table_says_the_same_as_a_csv(tmp_path):
    pytest.importorskip("pyarrow")
    import pandas as pd

    root = two_classes(tmp_path, n=30)
    of_csv = prepared(root, lines(root, HEADERS[1]))
    pd.read_csv(root / "table.csv").to_parquet(root / "table.parquet")
    table = str(root / "table.parquet")
    of_parquet = prepare(section(root, table=table), "mine", seed=0)
    assert of_parquet.card.counts == of_csv.card.counts
    for name in SPLITS:
        np.testing.assert_array_equal(of_parquet.splits[name].images, of_csv.splits[name].images)
    (root / "table.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"table\.parquet: is not a readable parquet file"):
        prepare(section(root, table=table), "mine", seed=0)


@pytest.mark.parametrize("column", ["patient name", "StudyUID", "case_no"])
def test_a_column_that_may_say_whose_an_image_is_is_never_passed_over(tmp_path, column):
    root = two_classes(tmp_path, n=30)
    text = lines(root, f"path,label,site,{column}")
    with pytest.raises(UserError, match=rf"the column '{column}' may be the group; say columns: {{group: {column}}}"):
        prepared(root, text)
    assert prepared(root, text, columns={"group": column}).card.patients == "known"
    left_out = prepared(root, text, columns={"group": None}).card
    assert left_out.patients == "unknown"
    assert left_out.notes[0] == f"columns of the table that are not read: site, {column}"


def test_what_is_merely_known_of_a_patient_is_no_group(tmp_path):
    root = two_classes(tmp_path, n=30)
    text = lines(root, "path,label,Patient Age,patient_id").replace("validation", "61").replace("test", "47")
    assert prepared(root, text).card.patients == "known"
    assert prepared(root, lines(root, "path,label,patient_age", split=False)).card.patients == "unknown"


def test_a_column_that_may_say_the_split_is_never_passed_over(tmp_path):
    root = two_classes(tmp_path, n=30)
    with pytest.raises(UserError, match="the column 'is_train' may be the split"):
        prepared(root, lines(root, "path,label,is_train", split=False))


def test_two_columns_for_one_thing_are_asked_about(tmp_path):
    root = two_classes(tmp_path, n=30)
    with pytest.raises(UserError, match=r"'group' and 'patient_id' may both be the group; say columns: {group: group}"):
        prepared(root, lines(root, "path,label,group,patient_id"))


def test_a_column_of_the_config_must_be_there(tmp_path):
    root = two_classes(tmp_path, n=30)
    with pytest.raises(UserError, match=r"has no column 'grade' \(found path, label, split, group"):
        prepared(root, lines(root, "path,label,split,group"), columns={"label": "grade"})


def test_folds_without_names_of_splits_are_refused(tmp_path):
    root = two_classes(tmp_path, n=2)
    with pytest.raises(UserError, match=r"line 2: split '0' is not known \(allowed: train, val, test"):
        prepared(root, "path,label,fold\nill/00.png,a,0\nwell/00.png,b,1\n")


def test_absolute_paths_below_the_folder_are_taken(tmp_path):
    root = two_classes(tmp_path / "mine", n=30)
    relative = prepared(root, lines(root, "path,label,split,group"))
    absolute = prepared(root, lines(root, "path,label,split,group").replace("\n", f"\n{root}/"))
    assert absolute.splits["train"].origins.names.tolist() == relative.splits["train"].origins.names.tolist()
    (tmp_path / "link").symlink_to(root)
    text = lines(root, "path,label,split,group").replace("\n", f"\n{root}/")
    (root / "table.csv").write_text(text)
    linked = prepare(section(tmp_path / "link", table=str(root / "table.csv")), "mine", seed=0)
    assert linked.card.counts == relative.card.counts


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_of_a_mac_and_of_linux_are_the_same(tmp_path, form):
    for n in range(20):
        put(tmp_path / unicodedata.normalize(form, f"mélanome/é{n}.png"), n)
        put(tmp_path / "naevus" / f"{n}.png", 100 + n)
    rows = [f"mélanome/é{n}.png,mélanome" for n in range(20)]
    rows += [f"naevus/{n}.png,{'naevus' if n % 3 else 'Naevus '}" for n in range(20)]
    text = "path,label\n" + "\n".join(rows)
    card = prepared(tmp_path, unicodedata.normalize({"NFC": "NFD", "NFD": "NFC"}[form], text)).card
    assert card.classes == ["mélanome", "naevus"]
    assert sum(card.counts["train"]) == 28


def test_one_class_has_one_spelling_and_the_card_says_what_was_read_as_it(tmp_path):
    root = two_classes(tmp_path, n=20)
    rows = [f"ill/{n:02}.png,{'1.0' if n % 4 else '1'},P{n // 2}" for n in range(20)]
    rows += [f"well/{n:02}.png,{'Benign' if n % 3 == 0 else 'benign'},q{n // 2}" for n in range(20)]
    rows[1] = rows[1].replace("P", "p")  # of a patient, too
    card = prepared(root, "path,label,group\n" + "\n".join(rows)).card
    assert card.classes == ["1", "benign"]
    assert card.notes[:2] == ["class '1.0' is read as '1': 15 images", "class 'Benign' is read as 'benign': 7 images"]


def test_split_folders_may_spell_a_class_differently(tmp_path):
    for split, cls in (("Training", "Benign"), ("validation", "benign"), ("Testing", "benign")):
        for n in range(3):
            put(tmp_path / split / cls / f"{n}.png", n)
            put(tmp_path / split / "malignant" / f"{n}.png", 100 + n)
    card = prepare(section(tmp_path), "mine", seed=0).card
    assert card.classes == ["benign", "malignant"]
    assert card.counts == {"train": [3, 3], "val": [3, 3], "test": [3, 3]}
