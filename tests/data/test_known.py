"""The published datasets as they are unpacked, with their quirks."""

import numpy as np
import pytest

from medbench.config.load import parse
from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS
from medbench.data.known import known, list_known, show_known
from medbench.data.known.facts import ARCHIVES, medmnist_facts
from medbench.data.prepare import prepare
from medbench.data.sections import ChestCtDataset, ChestXrayDataset, MedMnistDataset, TongueDataset
from medbench.run.formats import write_npz
from medbench.run.records import write_sealed
from tests.helpers.files import flip
from tests.helpers.known_sets import numbered, record, unpacked, write_image


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# Chest CT -------------------------------------------------------------------------------------------------------

CHEST_CT, TONGUE = ARCHIVES["chest_ct"], ARCHIVES["tongue_tri_dhat"]
CT = CHEST_CT.remote


@pytest.fixture
def few(monkeypatch):
    """The CT set as if it had been published with a few images; with all of them it is prepared in tests/workflow."""
    counts = {split: {cls: n % 4 + 1 for cls, n in classes.items()} for split, classes in CHEST_CT.counts.items()}
    monkeypatch.setitem(ARCHIVES, "chest_ct", CHEST_CT.model_copy(update={"counts": counts}))
    return counts


def ct_card(**settings):
    return prepare(
        parse(ChestCtDataset, {"kind": "chest_ct", "image_size": 8, "channels": 1, **settings}, "ct"), "ct", 0
    ).card


def ct_names(counts, without=()):
    stages = {"adenocarcinoma": "_left.lower.lobe_T2_N0_M0_Ib", "large.cell.carcinoma": "_left.hilum_T2_N2_M0_IIIa"}
    stages |= {"normal": "", "squamous.cell.carcinoma": "_left.hilum_T1_N2_M0_IIIa"}
    folders = {
        f"Data/{'valid' if split == 'val' else split}/{cls}{stages[cls] if split != 'test' else ''}": count
        for split, classes in counts.items()
        for cls, count in classes.items()
    }
    return [name for name in numbered(folders) if name not in without]


def test_ct_folders_are_classes_by_prefix_and_counted(few):
    unpacked(CT, ct_names(few))
    card = ct_card()
    assert card.counts == {name: list(counts.values()) for name, counts in few.items()}
    assert card.classes == list(CHEST_CT.classes)
    assert (card.accepted, card.task, card.licence) == ([], "multi-class", CHEST_CT.licence)


def test_files_that_are_not_the_published_ones_are_a_table_unless_accepted(few):
    expected = few["test"]["normal"]
    unpacked(CT, ct_names(few, without=["Data/test/normal/0"]))
    with pytest.raises(UserError) as refused:
        ct_card()
    first, *table = str(refused.value).splitlines()
    assert first.startswith("datasets.ct: resources/chest_ct/chest-ctscan-images.zip: is not what was published; ")
    assert "accept: changed" in first
    rows = [line.split() for line in table]
    assert rows[0] == ["split", "class", "expected", "found"]
    assert len(rows) == 1 + 3 * 4
    wrong = ["test", "normal", str(expected), str(expected - 1), "differs"]
    assert [row for row in rows if row[-1] == "differs"] == [wrong]
    accepted = f"{expected - 1} images of normal in test, published are {expected} (accepted)"
    assert ct_card(accept="changed").accepted == [accepted]


def test_a_file_with_another_hash_is_named_even_where_its_content_fits(few):
    unpacked(CT, ct_names(few))
    record(CT, differs="the zip has sha256 1, published is 2")
    with pytest.raises(UserError, match=r"is not what was published \(the zip has sha256 1, published is 2\); fetch"):
        ct_card()
    assert ct_card(accept="changed").accepted == ["the zip has sha256 1, published is 2 (accepted)"]


def test_a_folder_that_is_no_class_is_named(few):
    unpacked(CT, [*ct_names(few), "Data/test/benign/1"])
    with pytest.raises(UserError, match=r"the folder 'benign' is none of the classes adenocarcinoma, "):
        ct_card()


def test_what_was_not_fetched_or_was_changed_since_is_named(few):
    with pytest.raises(UserError, match=r"chest-ctscan-images\.zip: is not fetched yet \(snakemake fetch_all"):
        ct_card()
    image = unpacked(CT, ct_names(few)) / "Data/test/normal/0.png"
    flip(image, at=1)  # its size stays
    with pytest.raises(UserError, match=r"Data/test/normal/0\.png: is not what was unpacked"):
        ct_card()
    image.unlink()
    with pytest.raises(UserError, match=r"is not what was unpacked from chest-ctscan-images\.zip; remove resources/"):
        ct_card(accept="changed")
    write_sealed(CT.record, {})
    with pytest.raises(UserError, match=r"fetched\.json: is not a record of a fetched file; remove"):
        ct_card()


def test_jpeg_data_under_png_names_and_every_mode_are_read(few):
    folder = unpacked(CT, ct_names(few))
    for n, mode in enumerate(("RGB", "L", "RGBA", "LA")):
        name = sorted(folder.glob("Data/train/*/0.png"))[n]
        written = name.with_suffix(".jpg") if n < 2 else name
        write_image(written, 5000 + n, mode=mode)
        written.rename(name)
    record(CT)
    assert ct_card().counts["train"] == list(few["train"].values())


def test_two_classes_of_several_are_another_task_than_was_published(few):
    unpacked(CT, ct_names(few))
    names = {cls: "normal" if cls == "normal" else "tumour" for cls in CHEST_CT.classes}
    assert (ct_card().task, ct_card(classes=names).task) == ("multi-class", "binary-class")


# Chest X-ray ----------------------------------------------------------------------------------------------------


XRAY = ARCHIVES["chest_xray_kaggle"].remote


def xray(names):
    """What is prepared of these files."""
    unpacked(XRAY, names, ".jpeg")
    raw = {"kind": "chest_xray", "image_size": 8, "accept": "changed"}
    return prepare(parse(ChestXrayDataset, raw, "xray"), "xray", 0)


def xray_names():
    names = [f"chest_xray/train/PNEUMONIA/person{n}_bacteria_{k}" for n in range(20) for k in range(3)]
    names += [f"chest_xray/train/NORMAL/IM-{n:04}-000{k}" for n in range(20) for k in range(2)]
    names += [f"chest_xray/train/NORMAL/NORMAL2-IM-{n:04}-0001" for n in range(20)]
    names += [f"chest_xray/val/{cls}-0001" for cls in ("PNEUMONIA/person1946_bacteria_4", "NORMAL/IM-1427")]
    return [*names, "chest_xray/test/PNEUMONIA/person1_virus_6", "chest_xray/test/NORMAL/IM-5001-0001"]


def test_a_patient_of_the_xrays_never_stands_in_both_train_and_val():
    dataset = xray(xray_names())
    train, val, test = (dataset.splits[name] for name in ("train", "val", "test"))
    assert (len(train) + len(val), len(test)) == (20 * 6 + 2, 2)  # the published val has joined them
    assert min(np.bincount(val.labels)) >= 4  # about a tenth of 61 each
    assert not set(train.groups) & set(val.groups)
    patients = {name.rsplit("/", 1)[1].rsplit("-", 1)[0] for name in val.origins.names if "NORMAL/" in name}
    assert all(name.startswith(("IM-", "NORMAL2-IM-")) for name in patients)
    assert dataset.card.patients == "known"
    assert any("16 validation images" in note for note in dataset.card.notes)
    splits = dataset.splits.values()
    group_of = {str(n): g for split in splits for n, g in zip(split.origins.names, split.groups, strict=True)}
    assert group_of["train/NORMAL/IM-0003-0000.jpeg"] == group_of["train/NORMAL/IM-0003-0001.jpeg"]
    assert group_of["train/NORMAL/IM-0003-0000.jpeg"] != group_of["train/NORMAL/NORMAL2-IM-0003-0001.jpeg"]
    # The same number of a person in train and test may be the same one: one group, as published in two splits.
    assert group_of["train/PNEUMONIA/person1_bacteria_0.jpeg"] == group_of["test/PNEUMONIA/person1_virus_6.jpeg"]


def test_folders_that_repeat_the_set_inside_itself_are_left_out():
    dataset = xray([*xray_names(), *(f"chest_xray/{name}" for name in xray_names())])
    assert sum(map(len, dataset.splits.values())) == len(xray_names())


def test_a_name_without_a_patient_is_refused():
    with pytest.raises(UserError, match=r"scan7\.jpeg: its name begins with no patient"):
        xray([*xray_names(), "chest_xray/train/NORMAL/scan7"])


# Tongues --------------------------------------------------------------------------------------------------------


def tongue_section(**settings):
    return parse(TongueDataset, {"kind": "tongue", "image_size": 8, **settings}, "tongue")


def tri_dhat(folders):
    """The card of a set with so many images in each folder."""
    unpacked(TONGUE.remote, numbered(folders))
    return prepare(tongue_section(), "tongue", 0).card


def test_class_folders_are_found_by_name_wherever_they_lie():
    card = tri_dhat({"a/Vata": 20, "a/PITTA tongue": 20, "b/kapha/left": 20, "a/other": 3})
    assert card.classes == ["kapha", "pitta", "vata"]
    assert np.sum(list(card.counts.values()), axis=0).tolist() == [20, 20, 20]
    assert card.horizontal_flip


def test_masks_and_other_folders_are_left_out_and_noted():
    card = tri_dhat({"vata": 9, "Pitta_2": 9, "Kapha tongues": 9, "vata/mask": 3, "not_kapha": 2, "unlabelled": 1})
    assert np.sum(list(card.counts.values()), axis=0).tolist() == [9, 9, 9]
    assert [note for note in card.notes if "left out" in note] == [
        "2 images of the folder 'not_kapha' left out: it is no class",
        "1 images of the folder 'unlabelled' left out: it is no class",
        "3 images of the folder 'vata/mask' left out: it is no class",
    ]


def test_splits_are_found_by_name_too():
    card = tri_dhat({f"{split}/{cls}": 5 for split in ("train", "valid", "test") for cls in TONGUE.classes})
    assert set(map(tuple, card.counts.values())) == {(5, 5, 5)}


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (
            ("vata", "pitta", "kapha", "Vata-Pitta"),
            "Vata-Pitta: is named after pitta and vata; list the images in",
        ),
        (
            ("images/vata", "images/pita", "images/kapha"),
            r"folder named after pitta \(folders found: images, images/kapha, images/pita",
        ),
    ],
)
def test_folders_that_do_not_match_are_named(folders, message):
    with pytest.raises(UserError, match=message):
        tri_dhat(dict.fromkeys(folders, 2))


FISSURES = ARCHIVES["tonguexpert_labels_fissure"].remote


def tonguexpert(rows, photographs):
    """The table `rows` (SID, label) beside photographs by SID, and what prepare makes of them."""
    unpacked(FISSURES, [f"TonguExpertDatabase/TongueImage/Raw/{sid}" for sid in photographs], ".jpg")
    table = FISSURES.folder / "TonguExpertDatabase/Phenotypes/L1_Labels_Manual.txt"
    table.parent.mkdir(parents=True)
    table.write_text("SID\tlabels_fissure\n" + "".join(f"{sid}\t{label}\n" for sid, label in rows))
    record(FISSURES)
    section = tongue_section(publisher="tonguexpert", labels="labels_fissure", accept="changed")
    return prepare(section, "tongue", 0)


def test_tongues_have_the_labels_of_one_column_and_those_without_are_left_out():
    sids = [f"TE{n:07}" for n in range(30)]
    rows = [(sid, ("light", "severe", "NA")[n % 3]) for n, sid in enumerate(sids)]
    dataset = tonguexpert(rows, sids)
    assert np.sum(list(dataset.card.counts.values()), axis=0).tolist() == [10, 10]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("A", "light"), ("C", "severe")], r"Manual\.txt, line 3: there is no photograph .*Raw/C\.jpg"),
        ([("A", "light"), ("A", "severe")], r"Manual\.txt, line 3: A stands in line 2 already"),
        ([("A", "light"), ("B", "deep")], r"line 3: labels_fissure is 'deep' \(known: light, severe, NA\)"),
        ([("A", "light"), ("", "severe")], r"line 3: SID is empty"),
    ],
)
def test_a_table_of_labels_that_cannot_be_right_is_refused_by_line(rows, message):
    with pytest.raises(UserError, match=message):
        tonguexpert(rows, ["A", "B"])


def test_a_column_belongs_to_its_publisher():
    with pytest.raises(UserError, match=r"publisher tonguexpert needs labels"):
        tongue_section(publisher="tonguexpert")
    with pytest.raises(UserError, match=r"tri_dhat has one label and takes none"):
        tongue_section(labels="labels_tai")


# MedMNIST -------------------------------------------------------------------------------------------------------


def mnist(name, counts, labels, **settings):
    """What is prepared of random images and `labels(n)` in the place of a set."""
    remote, rng = medmnist_facts(name, 28).remote, np.random.RandomState(0)
    arrays = {}
    for split, n in zip(SPLITS, counts, strict=True):
        arrays[f"{split}_images"] = rng.randint(0, 255, (n, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = labels(n)
    write_npz(remote.path, arrays)
    record(remote)
    return prepare(parse(MedMnistDataset, {"kind": "medmnist", "name": name, **settings}, "mnist"), "mnist", 0).card


def by_turns(n):
    return (np.arange(n) % 2)[:, None]


def test_a_set_of_medmnist_has_the_packages_facts():
    card = mnist("breastmnist", (546, 78, 156), by_turns)
    assert (card.title, card.classes, card.task) == ("BreastMNIST", ["malignant", "normal, benign"], "binary-class")
    assert [sum(row) for row in card.counts.values()] == [546, 78, 156]
    assert (card.licence, card.accepted) == ("CC BY 4.0", [])


def test_another_number_of_images_than_published_is_refused_or_accepted():
    differs = r"breastmnist\.npz: is not what was published; .*accept: changed.*\n.*\n  train +546 +10  differs\n"
    with pytest.raises(UserError, match=differs):
        mnist("breastmnist", (10, 4, 4), by_turns)
    card = mnist("breastmnist", (10, 4, 4), by_turns, accept="changed")
    assert card.accepted[0] == "10 images in train, published are 546 (accepted)"


def test_a_set_of_several_labels_comes_without_them():
    card = mnist("chestmnist", (10, 4, 4), lambda n: np.eye(14, dtype=np.int64)[np.arange(n)], accept="changed")
    assert (card.classes, card.counts["train"], card.task) == (["any"], [10], "multi-label, binary-class")
    assert any("atelectasis 1, " in note for note in card.notes)


def test_all_twelve_sets_are_known_at_four_sizes_with_a_hash():
    sets = [sizes for name, sizes in known().items() if name.endswith("mnist")]
    assert len(sets) == 12
    remotes = [facts.remote for sizes in sets for facts in sizes]
    assert len({remote.hash for remote in remotes}) == len({remote.path for remote in remotes}) == 48
    assert all(remote.hash.startswith("md5:") for remote in remotes)


def test_another_hue_is_known_to_keep_the_meaning_of_stained_tissue_alone():
    assert {name for name, sizes in known().items() if sizes[0].hue_shift} == {"pathmnist"}


def test_no_two_known_files_have_one_name():
    """A mirror may be one flat folder."""
    remotes = {facts.remote for sizes in known().values() for facts in sizes}
    assert len({remote.file for remote in remotes}) == len(remotes)


# What is shown of a file that is here ---------------------------------------------------------------------------

BREAST = medmnist_facts("breastmnist", 28).remote


def breast(**facts):
    BREAST.path.parent.mkdir(parents=True)
    BREAST.path.write_bytes(b"images")
    record(BREAST, **facts)


def test_a_file_is_verified_only_by_its_published_hash():
    breast(proved_by=BREAST.hash)
    state = f"verified (md5 {BREAST.hash[4:12]}...)"
    assert f"resources/medmnist/breastmnist.npz: {state}" in show_known("breastmnist")
    row = next(line for line in list_known().splitlines() if line.startswith("breastmnist "))
    assert row.endswith(f"  28: {state}")


def test_without_a_published_hash_the_content_is_yet_to_be_counted():
    unpacked(CT, ["cats/a"])
    size = ", of the published size" if CT.size else ""
    assert f"images.zip: here{size}, its content is counted when it is prepared" in show_known("chest_ct")


def test_an_accepted_difference_is_no_proof():
    breast(differs="breastmnist.npz has md5:1, expected md5:2")
    assert "breastmnist.npz: here, accepted although it differs" in show_known("breastmnist")


def test_a_file_that_was_changed_is_named():
    breast(proved_by=BREAST.hash)
    BREAST.path.write_bytes(b"fewer")
    assert "breastmnist.npz: was changed since it was fetched" in show_known("breastmnist")
