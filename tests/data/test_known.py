"""The published datasets as they are unpacked, with their quirks."""

import shutil

import numpy as np
import pytest

from medbench.config.load import parse
from medbench.core.errors import UserError
from medbench.data.known import CHEST_CT, CHEST_XRAY, TONGUE, TONGUEXPERT_LABELS, known, medmnist
from medbench.data.prepare import prepare
from medbench.data.sections import ChestCtDataset, ChestXrayDataset, MedMnistDataset, TongueDataset
from medbench.run.sealed_files import write_json, write_npz
from tests.data.known import numbered, record, unpacked, write_image


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def ct_section(**settings):
    return parse(ChestCtDataset, {"kind": "chest_ct", "image_size": 8, "channels": 1, **settings}, "ct")


def ct_names(test_normals=54):
    stages = {"adenocarcinoma": "_left.lower.lobe_T2_N0_M0_Ib", "large.cell.carcinoma": "_left.hilum_T2_N2_M0_IIIa"}
    stages |= {"normal": "", "squamous.cell.carcinoma": "_left.hilum_T1_N2_M0_IIIa"}
    folders = {}
    for split, counts in CHEST_CT.counts.items():
        for cls, count in counts.items():
            folder = f"Data/{'valid' if split == 'val' else split}/{cls}{stages[cls] if split != 'test' else ''}"
            folders[folder] = test_normals if (split, cls) == ("test", "normal") else count
    return numbered(folders)


# Chest CT -------------------------------------------------------------------------------------------------------


def test_ct_folders_are_classes_by_prefix_and_counted():
    unpacked(CHEST_CT.remote, ct_names())
    dataset = prepare(ct_section(), "ct", 0)
    assert dataset.card.counts == {name: list(counts.values()) for name, counts in CHEST_CT.counts.items()}
    assert dataset.card.classes == list(CHEST_CT.classes)
    assert (dataset.card.accepted, dataset.card.task) == ([], "multi-class")
    assert dataset.card.licence == CHEST_CT.licence
    assert dataset.splits["val"].origins.names[0].startswith("valid/adenocarcinoma_left")


def test_files_that_are_not_the_published_ones_are_a_table_unless_accepted():
    unpacked(CHEST_CT.remote, ct_names(test_normals=50))
    with pytest.raises(UserError) as refused:
        prepare(ct_section(), "ct", 0)
    first, *table = str(refused.value).splitlines()
    assert first.startswith("datasets.ct: resources/chest_ct/chest-ctscan-images.zip: is not what was published; ")
    assert "accept: changed" in first
    rows = [line.split() for line in table]
    assert rows[0] == ["split", "class", "expected", "found"]
    assert len(rows) == 1 + 3 * 4
    assert [row for row in rows if row[-1] == "differs"] == [["test", "normal", "54", "50", "differs"]]
    card = prepare(ct_section(accept="changed"), "ct", 0).card
    assert card.accepted == ["50 images of normal in test, published are 54 (accepted)"]


def test_a_file_with_another_hash_is_told_even_where_its_content_fits():
    unpacked(CHEST_CT.remote, ct_names())
    record(CHEST_CT.remote, differs="the zip has sha256 1, published is 2")
    with pytest.raises(UserError, match=r"is not what was published \(the zip has sha256 1, published is 2\); fetch"):
        prepare(ct_section(), "ct", 0)
    card = prepare(ct_section(accept="changed"), "ct", 0).card
    assert card.accepted == ["the zip has sha256 1, published is 2 (accepted)"]


def test_a_folder_that_is_no_class_is_named():
    unpacked(CHEST_CT.remote, [*ct_names(), "Data/test/benign/1"])
    with pytest.raises(UserError, match=r"the folder 'benign' is none of the classes adenocarcinoma, "):
        prepare(ct_section(), "ct", 0)


def test_what_was_not_fetched_or_was_changed_since_is_said():
    with pytest.raises(UserError, match=r"chest-ctscan-images\.zip: is not fetched yet \(snakemake fetch_all"):
        prepare(ct_section(), "ct", 0)
    folder = unpacked(CHEST_CT.remote, ct_names())
    (folder / "Data/test/normal/0.png").unlink()
    with pytest.raises(UserError, match=r"is not what was unpacked from chest-ctscan-images\.zip; remove resources/"):
        prepare(ct_section(accept="changed"), "ct", 0)
    write_json(CHEST_CT.remote.record, {})
    with pytest.raises(UserError, match=r"fetched\.json: is not a record of a fetched file; remove"):
        prepare(ct_section(), "ct", 0)


def test_a_file_changed_since_it_was_unpacked_is_named_even_if_it_has_its_size():
    folder = unpacked(CHEST_CT.remote, ct_names())
    changed = folder / "Data/test/normal/0.png"
    content = bytearray(changed.read_bytes())
    content[-1] ^= 1
    changed.write_bytes(content)
    with pytest.raises(UserError, match=r"Data/test/normal/0\.png"):
        prepare(ct_section(), "ct", 0)


def test_jpeg_data_under_png_names_and_every_mode_are_read():
    folder = unpacked(CHEST_CT.remote, ct_names())
    shutil.rmtree(folder / "Data/test/normal")
    for n in range(54):
        write_image(folder / f"Data/test/normal/{n}.jpg", 5000 + n, mode=("RGB", "L")[n % 2])
        (folder / f"Data/test/normal/{n}.jpg").rename(folder / f"Data/test/normal/{n}.png")
    write_image(folder / "Data/train/normal/0.png", 7000, mode="RGBA")
    write_image(folder / "Data/train/normal/1.png", 7001, mode="LA")
    record(CHEST_CT.remote)
    assert prepare(ct_section(), "ct", 0).card.counts["test"] == list(CHEST_CT.counts["test"].values())


# Chest X-ray ----------------------------------------------------------------------------------------------------


def xray_section(**settings):
    return parse(ChestXrayDataset, {"kind": "chest_xray", "image_size": 8, "accept": "changed", **settings}, "xray")


def xray_names():
    names = [f"chest_xray/train/PNEUMONIA/person{n}_bacteria_{k}" for n in range(20) for k in range(3)]
    names += [f"chest_xray/train/NORMAL/IM-{n:04}-000{k}" for n in range(20) for k in range(2)]
    names += [f"chest_xray/train/NORMAL/NORMAL2-IM-{n:04}-0001" for n in range(20)]
    names += [f"chest_xray/val/{cls}-0001" for cls in ("PNEUMONIA/person1946_bacteria_4", "NORMAL/IM-1427")]
    return [*names, "chest_xray/test/PNEUMONIA/person1_virus_6", "chest_xray/test/NORMAL/IM-5001-0001"]


def test_a_patient_of_the_xrays_never_stands_in_both_train_and_val():
    unpacked(CHEST_XRAY["kaggle"].remote, xray_names(), ".jpeg")
    dataset = prepare(xray_section(), "xray", 0)
    train, val, test = (dataset.splits[name] for name in ("train", "val", "test"))
    assert (len(train) + len(val), len(test)) == (20 * 6 + 2, 2)  # the published val has joined them
    assert min(np.bincount(val.labels)) >= 4  # about a tenth of 61 each
    assert not set(train.groups) & set(val.groups)
    patients = {name.rsplit("/", 1)[1].rsplit("-", 1)[0] for name in val.origins.names if "NORMAL/" in name}
    assert all(name.startswith(("IM-", "NORMAL2-IM-")) for name in patients)
    assert dataset.card.patients == "known"
    assert any("16 validation images" in note for note in dataset.card.notes)


def test_the_prefix_of_a_normal_patient_is_part_of_its_name():
    unpacked(CHEST_XRAY["kaggle"].remote, xray_names(), ".jpeg")
    splits = prepare(xray_section(), "xray", 0).splits.values()
    group_of = {str(n): g for split in splits for n, g in zip(split.origins.names, split.groups, strict=True)}
    assert group_of["train/NORMAL/IM-0003-0000.jpeg"] == group_of["train/NORMAL/IM-0003-0001.jpeg"]
    assert group_of["train/NORMAL/IM-0003-0000.jpeg"] != group_of["train/NORMAL/NORMAL2-IM-0003-0001.jpeg"]
    # The same number of a person in train and test may be the same one: one group, as published in two splits.
    assert group_of["train/PNEUMONIA/person1_bacteria_0.jpeg"] == group_of["test/PNEUMONIA/person1_virus_6.jpeg"]


def test_folders_that_repeat_the_set_inside_itself_are_left_out():
    names = xray_names()
    unpacked(CHEST_XRAY["kaggle"].remote, [*names, *(f"chest_xray/{name}" for name in names)], ".jpeg")
    dataset = prepare(xray_section(), "xray", 0)
    assert sum(map(len, dataset.splits.values())) == len(names)


def test_a_name_without_a_patient_is_refused():
    unpacked(CHEST_XRAY["kaggle"].remote, [*xray_names(), "chest_xray/train/NORMAL/scan7"], ".jpeg")
    with pytest.raises(UserError, match=r"scan7\.jpeg: its name begins with no patient"):
        prepare(xray_section(), "xray", 0)


# Tongues --------------------------------------------------------------------------------------------------------


def tongue_section(**settings):
    return parse(TongueDataset, {"kind": "tongue", "image_size": 8, **settings}, "tongue")


def test_class_folders_are_found_by_name_wherever_they_lie():
    unpacked(TONGUE.remote, numbered({"a/Vata": 20, "a/PITTA tongue": 20, "b/kapha/left": 20, "a/other": 3}))
    dataset = prepare(tongue_section(), "tongue", 0)
    assert dataset.card.classes == ["kapha", "pitta", "vata"]
    assert np.sum(list(dataset.card.counts.values()), axis=0).tolist() == [20, 20, 20]
    assert dataset.card.horizontal_flip


def test_a_folder_of_two_classes_is_refused_and_masks_and_others_are_left_out_and_told():
    good = numbered({"vata": 9, "Pitta_2": 9, "Kapha tongues": 9})
    left_out = numbered({"vata/mask": 3, "not_kapha": 2, "unlabelled": 1})
    unpacked(TONGUE.remote, [*good, *left_out])
    card = prepare(tongue_section(), "tongue", 0).card
    assert np.sum(list(card.counts.values()), axis=0).tolist() == [9, 9, 9]
    assert [note for note in card.notes if "left out" in note] == [
        "2 images of the folder 'not_kapha' left out: it is no class",
        "1 images of the folder 'unlabelled' left out: it is no class",
        "3 images of the folder 'vata/mask' left out: it is no class",
    ]
    unpacked(TONGUE.remote, [*good, "Vata-Pitta/0"])
    with pytest.raises(UserError, match=r"Vata-Pitta: is named after pitta and vata; list the images in a table"):
        prepare(tongue_section(), "tongue", 0)


def test_splits_are_found_by_name_too():
    unpacked(TONGUE.remote, numbered({f"{s}/{cls}": 5 for s in ("train", "valid", "test") for cls in TONGUE.classes}))
    assert set(map(tuple, prepare(tongue_section(), "tongue", 0).card.counts.values())) == {(5, 5, 5)}


def test_folders_that_do_not_match_are_listed():
    unpacked(TONGUE.remote, numbered({"images/vata": 2, "images/pita": 2, "images/kapha": 2}))
    with pytest.raises(UserError, match=r"folder named after pitta \(folders found: images, images/kapha, images/pita"):
        prepare(tongue_section(), "tongue", 0)


FISSURES = TONGUEXPERT_LABELS["labels_fissure"].remote


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


def medmnist_file(name, counts, labels):
    """An npz of `name` with random images and `labels(n)`."""
    remote, rng = medmnist.facts(name, 28).remote, np.random.RandomState(0)
    arrays = {}
    for split, n in counts.items():
        arrays[f"{split}_images"] = rng.randint(0, 255, (n, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = labels(n)
    write_npz(remote.path, arrays)
    record(remote)


def medmnist_section(name, **settings):
    return parse(MedMnistDataset, {"kind": "medmnist", "name": name, **settings}, "mnist")


def test_a_set_of_medmnist_has_the_packages_facts():
    counts = {"train": 546, "val": 78, "test": 156}
    medmnist_file("breastmnist", counts, lambda n: (np.arange(n) % 2)[:, None])
    card = prepare(medmnist_section("breastmnist"), "breast", 0).card
    assert (card.title, card.classes, card.task) == ("BreastMNIST", ["malignant", "normal, benign"], "binary-class")
    assert {name: sum(row) for name, row in card.counts.items()} == counts
    assert (card.licence, card.accepted) == ("CC BY 4.0", [])


def test_another_number_of_images_than_published_is_refused_or_accepted():
    medmnist_file("breastmnist", {"train": 10, "val": 4, "test": 4}, lambda n: (np.arange(n) % 2)[:, None])
    with pytest.raises(UserError, match=r"breastmnist\.npz: train has 10 images, published are 546"):
        prepare(medmnist_section("breastmnist"), "breast", 0)
    card = prepare(medmnist_section("breastmnist", accept="changed"), "breast", 0).card
    assert card.accepted[0] == "10 images in train, published are 546 (accepted)"


def test_a_set_of_several_labels_comes_without_them():
    medmnist_file("chestmnist", {"train": 10, "val": 4, "test": 4}, lambda n: np.eye(14, dtype=np.int64)[np.arange(n)])
    card = prepare(medmnist_section("chestmnist", accept="changed"), "chest", 0).card
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
