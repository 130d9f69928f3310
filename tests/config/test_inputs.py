"""What a run reads from outside, and what is refused before any job."""

import os
from pathlib import Path

import pytest

from medbench.config import inputs
from medbench.config.inputs import Outside
from medbench.config.load import load
from medbench.core.errors import UserError
from medbench.data.known.facts import ARCHIVES
from medbench.run.files import sha256_of
from tests.helpers.configs import changed

EXPERT = {"kind": "tongue", "publisher": "tonguexpert", "labels": "labels_tai", "image_size": 32}
XRAY = {"kind": "chest_xray", "image_size": 32}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEDBENCH_MIRROR", raising=False)


def test_a_published_set_waits_for_the_record_of_its_file():
    config = load(changed("datasets.ct", XRAY))
    path = "resources/chest_xray/chest-xray-pneumonia.zip"
    assert inputs.dataset_files(config, "ct") == [Outside(path, f"{path}.fetched.json")]
    assert list(inputs.fetches(config)) == [f"{path}.fetched.json"]


def test_one_file_is_fetched_once_and_loosely_if_one_entry_accepts_changes():
    raw = changed("datasets.ct", XRAY)
    raw["datasets"]["again"] = XRAY | {"protocol": "clean", "accept": "changed"}
    raw["studies"]["s"]["datasets"] = ["ct", "again"]
    (stage,) = inputs.fetches(load(raw)).values()
    assert stage.accept_changed
    raw["datasets"]["again"].pop("accept")
    (stage,) = inputs.fetches(load(raw)).values()
    assert not stage.accept_changed


def test_two_different_files_of_one_name_are_refused():
    """Their place would be the same."""
    raw = changed("fidelity.weights", {"url": "https://a.example/w.pth", "sha256": "0" * 64})
    raw["utility"] = {"init": "imagenet", "weights": {"url": "https://b.example/w.pth", "sha256": "1" * 64}}
    raw["studies"]["s"]["arms"] = ["real"]
    with pytest.raises(UserError, match=r"^config: utility\.weights: resources/weights/w\.pth would be another file"):
        inputs.fetches(load(raw))


def test_a_file_placed_by_hand_is_asked_for_unless_it_is_there_or_on_a_mirror(tmp_path, monkeypatch):
    config = load(changed("datasets.ct", EXPERT))
    with pytest.raises(UserError, match=r"^config: datasets\.ct: TonguExpertDatabase\.zip cannot be downloaded by a"):
        inputs.check_paths(config)
    monkeypatch.setenv("MEDBENCH_MIRROR", str(tmp_path))
    inputs.check_paths(config)
    monkeypatch.delenv("MEDBENCH_MIRROR")
    placed = tmp_path / "resources/tonguexpert/TonguExpertDatabase.zip"
    placed.parent.mkdir(parents=True)
    placed.touch()
    inputs.check_paths(config)


def test_several_labels_are_for_unconditional_augmenters_and_fidelity_alone():
    chest = {"kind": "medmnist", "name": "chestmnist"}
    load(changed("datasets.ct", chest))
    labelled = changed("datasets.ct", chest)
    labelled["augmenters"]["ddpm"]["conditioning"] = "label"
    with pytest.raises(UserError, match=r"studies\.s: ct has several labels per image.* augmenter ddpm uses labels"):
        load(labelled)
    classified = changed("datasets.ct", chest)
    classified["studies"]["s"]["arms"] = ["real"]
    with pytest.raises(UserError, match=r"studies\.s: ct has several labels per image.* arms train classifiers"):
        load(classified)


def test_a_licence_that_restricts_is_accepted_by_name_where_a_study_reaches_the_set():
    derma = {"kind": "medmnist", "name": "dermamnist"}
    load(changed("datasets.other", derma))  # defined, but nothing that runs reaches it
    licence = (
        r"^config: datasets\.ct: may be used under CC BY-NC 4\.0 alone; if you agree, say accept_licence: CC BY-NC"
    )
    with pytest.raises(UserError, match=licence):
        load(changed("datasets.ct", derma))
    load(changed("datasets.ct", derma | {"accept_licence": "CC BY-NC 4.0"}))


def test_an_address_with_odd_letters_has_a_plain_file_name():
    weights = {"url": "https://a.example/a%20b/model%20v1+2.pth?x=1", "sha256": "0" * 64}
    raw = changed("fidelity.weights", weights)
    (stage,) = inputs.fetches(load(raw)).values()
    assert stage.remote.file == "model_v1_2.pth"


def test_a_read_only_resources_folder_is_said_before_any_job(tmp_path, monkeypatch):
    config = load(changed("datasets.ct", XRAY))
    (tmp_path / "resources").mkdir()
    monkeypatch.setattr("medbench.config.inputs.os.access", lambda path, mode: Path(path).name != "resources")
    with pytest.raises(UserError, match=r"^resources: cannot be written: resources is read-only"):
        inputs.check_paths(config)


def test_a_read_only_resources_folder_that_holds_everything_is_enough(tmp_path, monkeypatch):
    config = load(changed("datasets.ct", XRAY))
    for record in inputs.fetches(config):
        Path(record).parent.mkdir(parents=True, exist_ok=True)
        Path(record).touch()
    monkeypatch.setattr("medbench.config.inputs.os.access", lambda path, mode: Path(path).name != "resources")
    inputs.check_paths(config)


def test_content_decides_what_is_made_again(tmp_path):
    """Of an npz and of ready images; of weights the config states the hash."""
    (tmp_path / "ready" / "white").mkdir(parents=True)
    (tmp_path / "mine.npz").write_bytes(b"one")
    (tmp_path / "ready" / "white" / "1.png").write_bytes(b"one")
    raw = changed("datasets.ct", {"kind": "npz", "path": "mine.npz"})
    raw["augmenters"]["ready"] = {"kind": "images", "path": "ready"}
    config = load(raw)

    def states() -> tuple[str, str]:
        dataset = inputs.dataset_state(config, "ct", sha256_of)
        return dataset, inputs.given_state(config, "ct", "ready", sha256_of)

    before = states()
    for path in tmp_path.rglob("*"):
        os.utime(path, (1, 1))
    (tmp_path / "ready" / "white" / ".DS_Store").write_bytes(b"x")
    assert states() == before
    assert inputs.given_state(config, "ct", "ddpm", sha256_of) == ""
    (tmp_path / "ready" / "white" / "1.png").write_bytes(b"two")
    assert states()[0] == before[0] and states()[1] != before[1]
    (tmp_path / "mine.npz").unlink()
    assert "No such file" in states()[0]


def test_a_missing_path_is_refused_before_any_job(tmp_path):
    raw = changed("datasets.ct", {"kind": "folder", "path": "photos/tongue", "image_size": 32})
    with pytest.raises(
        UserError, match=r"datasets\.ct\.path: no such path: photos/tongue \(expected one folder per class"
    ):
        inputs.check_paths(load(raw))
    raw["datasets"]["ct"] = {"kind": "npz", "path": str(tmp_path / "x.npz")}
    with pytest.raises(UserError, match=r"datasets\.ct\.path: no such path: .*x\.npz \(expected an npz file\)"):
        inputs.check_paths(load(raw))


def test_what_is_known_of_one_published_set_does_not_prepare_another_again(monkeypatch):
    """An edited citation would otherwise train everything again."""
    raw = changed("datasets.ct", {"kind": "chest_ct", "image_size": 32})
    raw["datasets"]["xray"] = {"kind": "chest_xray", "image_size": 32}
    config = load(raw)
    ct, xray = (inputs.dataset_state(config, name, sha256_of) for name in ("ct", "xray"))
    monkeypatch.setitem(ARCHIVES, "chest_ct", ARCHIVES["chest_ct"].model_copy(update={"citation": "another"}))
    assert inputs.dataset_state(config, "ct", sha256_of) != ct
    assert inputs.dataset_state(config, "xray", sha256_of) == xray


def test_a_folder_is_prepared_again_when_a_file_in_it_changes(tmp_path):
    raw = changed("datasets.own", {"kind": "folder", "path": str(tmp_path), "image_size": 32})
    config = load(raw)
    (tmp_path / "white").mkdir()
    states = [inputs.dataset_state(config, "own", sha256_of)]
    for content in (b"one", b"other"):
        (tmp_path / "white" / "1.png").write_bytes(content)
        states.append(inputs.dataset_state(config, "own", sha256_of))
    assert len(set(states)) == 3
    (tmp_path / "white" / ".DS_Store").write_bytes(b"1")
    (tmp_path / "README.txt").write_bytes(b"1")
    os.utime(tmp_path / "white" / "1.png", (1, 1))
    assert inputs.dataset_state(config, "own", sha256_of) == states[-1]
    assert inputs.dataset_state(config, "ct", sha256_of) == ""
