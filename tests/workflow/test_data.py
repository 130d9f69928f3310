"""Datasets by Snakemake, from a mirror or from where a user has put them: content decides what is made again."""

import json
import os
import shutil
import zipfile

import pytest

from medbench.data.known.facts import ARCHIVES
from medbench.run.files import sha256_of
from tests.helpers.known_sets import numbered, write_image
from tests.helpers.own_images import put, two_classes

CHEST_CT, TONGUE = ARCHIVES["chest_ct"], ARCHIVES["tongue_tri_dhat"]
FILE = TONGUE.remote.file
TONGUES = "tongue: {accept: changed, image_size: 16}"
MINE = """
name: mine
datasets: {%s}
studies:
  mine: {datasets: [%s], arms: [real]}
utility: {init: scratch}
run: [mine]
"""
AUDIT = "results/mine/audit/tongue.json"


@pytest.fixture
def mirror(tmp_path):
    """A folder with an archive that looks like Tri-Dhat's; one photograph stands in train and in test."""
    folder = tmp_path / "photographs"
    names = numbered({f"{split}/{cls}": 6 for split in ("train", "val", "test") for cls in TONGUE.classes})
    for seed, name in enumerate(names):
        write_image(folder / f"{name}.jpg", seed, "RGB", (24, 24))
    shutil.copy(folder / "train/vata/0.jpg", folder / "test/vata/5.jpg")
    (tmp_path / "mirror").mkdir()
    with zipfile.ZipFile(tmp_path / "mirror" / FILE, "w") as archive:
        for path in sorted(folder.rglob("*.jpg")):
            archive.write(path, path.relative_to(folder))
    return tmp_path / "mirror"


@pytest.fixture
def work(root, tmp_path):
    """An empty folder to run in."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work/config.yaml").symlink_to(root / "config.yaml")
    return tmp_path / "work"


@pytest.fixture
def prepare(root, work, snakemake):
    """A function that makes files of a study of one dataset, written as in a config; what Snakemake printed."""

    def run(dataset: str, *targets: str, fails: bool = False, **variables: str) -> str:
        (work / "mine.yaml").write_text(MINE % (dataset, dataset.partition(":")[0]))
        options = ["--snakefile", root / "Snakefile", "--directory", work, "--cores", 1]
        options += ["--configfile", work / "mine.yaml", "--", *targets]
        return snakemake(*options, folder=root, fails=fails, **variables)

    return run


def test_a_dataset_comes_from_a_mirror_and_is_audited(prepare, mirror, work):
    prepare(TONGUES, AUDIT, "results/mine/audit/tongue.html", MEDBENCH_MIRROR=str(mirror))
    audit = json.loads((work / AUDIT).read_text())
    assert [copy["label"] for copy in audit["exact"]["test_copies"]] == ["vata"]
    assert [removal["image"]["split"] for removal in audit["removals"]] == ["train"]
    card = json.loads((work / "results/mine/datasets/tongue.json").read_text())
    assert card["protocol"] == "clean"
    assert card["counts"] == {"train": [6, 6, 5], "val": [6, 6, 6], "test": [6, 6, 6]}
    assert card["accepted"][0].startswith(f"{FILE} has md5:")
    page = (work / "results/mine/audit/tongue.html").read_text()
    assert "1 of 6 test images of class vata is pixel-identical to a training image." in page
    assert "Nothing to be done" in prepare(TONGUES, AUDIT, MEDBENCH_MIRROR=str(mirror))


def test_a_file_in_its_place_needs_no_network_and_is_never_deleted(prepare, mirror, work):
    printed = prepare(TONGUES, "fetch_all", fails=True, MEDBENCH_OFFLINE="1")
    assert f"resources/tongue/{FILE}" in printed and "zenodo.org" in printed
    placed = work / "resources/tongue" / FILE
    placed.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(mirror / FILE, placed)
    before = sha256_of(placed)
    prepare(TONGUES, "fetch_all", MEDBENCH_OFFLINE="1")
    record = json.loads(placed.with_name(f"{FILE}.fetched.json").read_text())
    assert record["sha256"] == before == sha256_of(placed)
    assert record["members"] == 54


def test_a_file_that_is_not_what_was_published_stops_before_anything_is_made_of_it(prepare, mirror, work):
    printed = prepare("tongue: {image_size: 16}", AUDIT, fails=True, MEDBENCH_MIRROR=str(mirror))
    assert TONGUE.remote.hash.partition(":")[2] in printed
    assert not (work / "resources/tongue" / FILE).exists()
    assert not (work / "results/mine/datasets").exists()


def test_what_no_program_can_download_is_asked_for_before_any_job(prepare):
    printed = prepare("tongue: {publisher: tonguexpert, labels: labels_tai}", "fetch_all", fails=True)
    assert "datasets.tongue: TonguExpertDatabase.zip cannot be downloaded by a program: get it from https://" in printed
    assert "put it at resources/tonguexpert/TonguExpertDatabase.zip" in printed


def test_the_real_ct_archive_is_fetched_prepared_and_audited(prepare, shared, work):
    """What its publisher's page does not say: most normal test images stand in train."""
    ct = "chest_ct: {accept: changed, image_size: 32}"
    prepare(ct, "results/mine/audit/chest_ct.json", MEDBENCH_MIRROR=str(shared / "data"))
    card = json.loads((work / "results/mine/datasets/chest_ct.json").read_text())
    normal = CHEST_CT.classes.index("normal")
    assert [card["counts"][name][normal] for name in ("train", "val", "test")] == [33, 6, 27]
    assert card["accepted"] == [
        f"{present} images of {cls} in test, published are {published} (accepted)"
        for cls, present, published in (("adenocarcinoma", 92, 120), ("squamous.cell.carcinoma", 62, 90))
    ]


def test_touched_copied_and_littered_folders_are_the_same_and_linked_ones_are_read(prepare, work):
    two_classes(work / "store")
    folder = work / "images"
    folder.mkdir()
    for name in ("ill", "well"):
        (folder / name).symlink_to(work / "store" / name)
    audit = f"own: {{kind: folder, path: {folder}, image_size: 16}}", "results/mine/audit/own.json"
    card = work / "results/mine/datasets/own.raw.json"
    prepare(*audit)
    before = card.read_text()
    shutil.copytree(folder, work / "copy")
    shutil.rmtree(folder)
    shutil.move(work / "copy", folder)
    (folder / "ill" / ".DS_Store").write_bytes(b"Bud1")
    os.utime(folder)
    assert "Nothing to be done" in prepare(*audit)
    put(folder / "ill" / "new.png", 77)
    prepare(*audit)
    counts = [sum(map(sum, json.loads(text)["counts"].values())) for text in (before, card.read_text())]
    assert counts[0] < counts[1] == 41


def test_a_table_below_the_project_itself_makes_only_its_images_an_input(prepare, work):
    two_classes(work / "img")
    rows = [f"img/{cls}/{n:02}.png,{cls}" for cls in ("ill", "well") for n in range(20)]
    (work / "list.csv").write_text("path,label\n" + "\n".join(rows))
    audit = "own: {kind: folder, path: ., table: list.csv, image_size: 16}", "results/mine/audit/own.json"
    prepare(*audit)
    os.utime(work / "list.csv", (1, 1))
    assert "Nothing to be done" in prepare(*audit)
