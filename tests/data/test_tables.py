"""Tables in the forms in which people keep them: each column that says something is read, or refused by its name."""

import re
import unicodedata

import numpy as np
import pandas as pd
import pytest

from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS
from medbench.data.folders import group_of
from tests.helpers.own_images import from_folder, from_table, put, two_classes, values

HEADERS = [
    "path,label,Split,Group",
    "file_name,class,fold,patient_id",
    "Image Path,Target,SPLIT,Patient ID",
    "filename,diagnosis,subset,subject",
]


@pytest.fixture
def root(tmp_path):
    return two_classes(tmp_path / "mine", n=30)


def lines(header: str, delimiter: str = ",", split: bool = True) -> str:
    """Thirty images per class, three per patient; a whole patient in each split."""
    rows = [header.replace(",", delimiter)]
    for cls in ("ill", "well"):
        for n in range(30):
            part = ["train", "validation", "test"][(n // 3) % 3]
            rows.append(delimiter.join([f"{cls}/{n:02}.png", cls, part, f"{cls}-{n // 3}"][: 4 if split else 3]))
    return "\n".join(rows)


# What is read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(("name", "delimiter"), [("t.csv", ","), ("t.csv", ";"), ("t.tsv", "\t")])
def test_usual_names_in_any_capitals_and_any_delimiter(root, header, name, delimiter):
    dataset = from_table(root, lines(header, delimiter), name)
    assert dataset.card.patients == "known"
    assert dataset.card.counts == {"train": [12, 12], "val": [9, 9], "test": [9, 9]}
    assert len(np.unique(np.concatenate([dataset.splits[name].groups for name in SPLITS]))) == 20


def test_a_table_names_labels_splits_and_groups(root):
    rows = [
        "ill/00.png,sick,train,p1",
        "well\\00.png, NA ,train,p2",
        "./ill/01.png,sick,VALID,p3",
        "well/01.png,NA,val,",
        "ill/02.png,sick,test,p4",
        '"well/02.png",NA,test,p4',
    ]
    dataset = from_table(root, "\ufeffpath,label,split,group\n" + "\n".join(rows) + "\n")
    assert dataset.card.patients == "partly"
    assert dataset.card.classes == ["NA", "sick"]  # a label that pandas would take for a missing value
    assert [values(dataset.splits[name]) for name in SPLITS] == [[0, 100], [1, 101], [2, 102]]
    assert dataset.splits["test"].groups[0] == dataset.splits["test"].groups[1]
    assert dataset.splits["val"].groups[0] != dataset.splits["val"].groups[1]


@pytest.mark.parametrize(
    ("cell", "group"), [("NA", None), (" nan", None), ("", None), ("P1", "p1"), ("Nanny", "nanny")]
)
def test_an_empty_cell_is_no_patient(cell, group):
    assert group_of(cell) == group


def test_groups_of_a_table_are_never_divided(root):
    rows = [f"{cls}/{number:02}.png,{cls},{cls}-{number // 3}" for cls in ("ill", "well") for number in range(30)]
    dataset = from_table(root, "path,label,group\n" + "\n".join(rows))
    patients = [
        {value // 3 if value < 100 else (value - 100) // 3 + 1000 for value in values(dataset.splits[name])}
        for name in SPLITS
    ]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 20
    assert dataset.card.patients == "known"
    # Of ten patients per class: seven, one and two.
    assert dataset.card.counts == {"train": [21, 21], "val": [3, 3], "test": [6, 6]}


def test_too_few_patients_for_the_splits_comes_with_fractions_that_do(root):
    rows = [f"{cls}/{n:02}.png,{cls},{cls}{n // 6}" for cls in ("ill", "well") for n in range(30)]
    text = "path,label,group\n" + "\n".join(rows)
    with pytest.raises(UserError, match="the smallest class has 5 images or patients") as error:
        from_table(root, text)
    fractions = {f"{n}_fraction": float(v) for n, v in re.findall(r"(val|test)_fraction: ([\d.]+)", str(error.value))}
    assert from_table(root, text, **fractions).card.counts["val"][0] > 0


def test_a_parquet_table_says_the_same_as_a_csv(root):
    of_csv = from_table(root, lines(HEADERS[1]))
    pd.read_csv(root / "table.csv").to_parquet(root / "table.parquet")
    of_parquet = from_folder(root, table=str(root / "table.parquet"))
    assert of_parquet.card.counts == of_csv.card.counts
    for name in SPLITS:
        np.testing.assert_array_equal(of_parquet.splits[name].images, of_csv.splits[name].images)
    with pytest.raises(UserError, match=r"table\.parquet: is not a readable parquet file"):
        from_table(root, "PAR1", "table.parquet")


def test_absolute_paths_below_the_folder_are_taken(root, tmp_path):
    relative = from_table(root, lines("path,label,split,group"))
    absolute = lines("path,label,split,group").replace("\n", f"\n{root}/")
    names = from_table(root, absolute).splits["train"].origins.names.tolist()
    assert names == relative.splits["train"].origins.names.tolist()
    (tmp_path / "link").symlink_to(root)
    assert from_table(tmp_path / "link", absolute).card.counts == relative.card.counts


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_of_a_mac_and_of_linux_are_the_same(tmp_path, form):
    for n in range(20):
        put(tmp_path / unicodedata.normalize(form, f"mélanome/é{n}.png"), n)
        put(tmp_path / "naevus" / f"{n}.png", 100 + n)
    rows = [f"mélanome/é{n}.png,mélanome" for n in range(20)]
    rows += [f"naevus/{n}.png,{'naevus' if n % 3 else 'Naevus '}" for n in range(20)]
    text = "path,label\n" + "\n".join(rows)
    card = from_table(tmp_path, unicodedata.normalize({"NFC": "NFD", "NFD": "NFC"}[form], text)).card
    assert card.classes == ["mélanome", "naevus"]
    assert sum(card.counts["train"]) == 28


def test_one_class_has_one_spelling_and_the_card_says_what_was_read_as_it(root):
    rows = [f"ill/{n:02}.png,{'1.0' if n % 4 else '1'},P{n // 2}" for n in range(20)]
    rows += [f"well/{n:02}.png,{'Benign' if n % 3 == 0 else 'benign'},q{n // 2}" for n in range(20)]
    rows[1] = rows[1].replace("P", "p")  # of a patient, too
    card = from_table(root, "path,label,group\n" + "\n".join(rows)).card
    assert card.classes == ["1", "benign"]
    assert {"class '1.0' is read as '1': 15 images", "class 'Benign' is read as 'benign': 7 images"} < set(card.notes)


# What is asked about --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["patient name", "StudyUID", "case_no"])
def test_a_column_that_may_say_whose_an_image_is_is_never_passed_over(root, column):
    text = lines(f"path,label,site,{column}")
    with pytest.raises(UserError, match=rf"the column '{column}' may be the group; say columns: {{group: {column}}}"):
        from_table(root, text)
    assert from_table(root, text, columns={"group": column}).card.patients == "known"
    left_out = from_table(root, text, columns={"group": None}).card
    assert left_out.patients == "unknown"
    assert left_out.notes[0] == f"columns of the table that are not read: site, {column}"


def test_what_is_merely_known_of_a_patient_is_no_group(root):
    text = lines("path,label,Patient Age,patient_id").replace("validation", "61").replace("test", "47")
    assert from_table(root, text).card.patients == "known"
    assert from_table(root, lines("path,label,patient_age", split=False)).card.patients == "unknown"


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        (lines("path,label,is_train", split=False), {}, "the column 'is_train' may be the split"),
        (
            lines("path,label,group,patient_id"),
            {},
            r"'group' and 'patient_id' may both be the group; say columns: {group: group}",
        ),
        (
            lines("path,label,split,group"),
            {"columns": {"label": "grade"}},
            r"has no column 'grade' \(found path, label, split, group",
        ),
        (
            "path,label,fold\nill/00.png,a,0\nwell/00.png,b,1\n",
            {},
            r"line 2: split '0' is not known \(allowed: train, val, test",
        ),
    ],
)
def test_what_a_column_means_is_never_guessed(root, text, settings, message):
    with pytest.raises(UserError, match=message):
        from_table(root, text, **settings)


# What is refused ------------------------------------------------------------------------------------------------

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
def test_a_bad_table_is_refused_by_its_line(root, text, message):
    with pytest.raises(UserError, match=message) as refusal:
        from_table(root, text)
    assert "table.csv" in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_table_that_cannot_be_read_is_named(root):
    with pytest.raises(UserError, match=r"none.csv: cannot be read: No such file"):
        from_folder(root, table=str(root / "none.csv"))
    (root / "latin.csv").write_bytes("path,label\nill/00.png,schön\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"latin.csv: is not a csv in UTF-8"):
        from_folder(root, table=str(root / "latin.csv"))
