"""Each kind of damage is found, named, and removed by the command that is shown."""

import errno
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medbench.core.errors import UserError
from medbench.data.dataset import Dataset
from medbench.run import formats
from medbench.run.files import sha256_of, write_text
from medbench.run.formats import read_npz
from medbench.run.records import write_sealed
from medbench.run.verify import Verdict, print_verified, products_in, verify
from medbench.system.folder_lock import held
from tests.helpers.files import flip
from tests.helpers.records import record, save, write_npz, write_sums

MODEL, CLASSIC = "models/ct/medienet/seed0", "samples/ct/classic/seed0"
FEATURES, FID = "features/ct/classic/seed0", "fidelity/ct/classic/seed0"
ARM, PAGE = "utility/ct/steps/real/real", "audit/ct.neighbours.html"


def files_of(run: Path) -> list[str]:
    """Every finished file, those in folders and records too."""
    files = [file for path in products_in(run) for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    return [file.relative_to(run).as_posix() for file in files if file.is_file()]


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def no_files(path: Path) -> None:
    for file in path.iterdir():
        file.unlink()
    write_text(path / ".snakemake_timestamp", "")


def rewritten(path: Path) -> None:
    """By somebody who has no record to change."""
    formats.write_json(path, {"rows": []})


def product(stem: str, *endings: str) -> list[str]:
    return [f"{stem}{ending}" for ending in endings] + [f"{stem}.record.json"]


def under(run: Path, paths: Iterable[str]) -> list[Path]:
    return sorted(run / path for path in paths)


DATASET, MODEL_WHOLE = product("datasets/ct", ".json", ".npz"), product(MODEL, "")
UTILITY = product(ARM, ".json", ".npz")
HASH = "its content is not what its record says"


@pytest.mark.parametrize(
    ("path", "damage", "problem", "removed"),
    [
        ("datasets/ct.npz", flip, HASH, DATASET),
        ("datasets/ct.npz", empty, HASH, DATASET),
        ("datasets/ct.raw.npz", cut, HASH, product("datasets/ct.raw", ".json", ".npz")),
        ("datasets/ct.json", cut, HASH, DATASET),
        ("datasets/ct.record.json", flip, "its content is not what its own sha256 says", DATASET),
        ("audit/ct.json", cut, HASH, product("audit/ct", ".json")),
        (PAGE, cut, HASH, [PAGE, f"{PAGE}.record.json"]),
        (f"{MODEL}/unet/model.safetensors", cut, "its content is not what SHA256SUMS says", MODEL_WHOLE),
        (f"{MODEL}/training.csv", empty, "its content is not what SHA256SUMS says", MODEL_WHOLE),
        (f"{MODEL}/SHA256SUMS", cut, HASH, MODEL_WHOLE),
        (f"{MODEL}.record.json", cut, "its content is not what its own sha256 says", MODEL_WHOLE),
        (f"{CLASSIC}.npz", flip, HASH, product(CLASSIC, ".npz")),
        (f"{FEATURES}.safetensors", cut, HASH, product(FEATURES, ".safetensors")),
        (f"{FID}.json", rewritten, HASH, product(FID, ".json")),
        (f"{ARM}.json", empty, HASH, UTILITY),
        (f"{ARM}.npz", flip, HASH, UTILITY),
        ("tables/field", no_files, "holds no SHA256SUMS", product("tables/field", "")),
        ("figures/field/fid.png", flip, "SHA256SUMS says", product("figures/field", "")),
        ("report.html", cut, HASH, ["report.html", "report.html.record.json"]),
        ("sections/field.json", cut, HASH, product("sections/field", ".json")),
    ],
)
def test_damage_is_found_and_the_command_removes_it(whole_run, path, damage, problem, removed):
    damage(whole_run / path)
    (finding,) = verify(whole_run)
    assert (finding.verdict, finding.path) == (Verdict.DAMAGED, whole_run / path)
    assert problem in finding.problem
    assert sorted(finding.remove) == under(whole_run, removed)
    subprocess.run(finding.command, shell=True, check=True)
    assert [finding for finding in verify(whole_run) if finding.verdict is Verdict.DAMAGED] == []


@pytest.mark.parametrize("at", [0, 0.3, 0.8, 1])
def test_a_flipped_bit_is_found_in_every_finished_file(whole_run, at):
    for path in files_of(whole_run):
        content = (whole_run / path).read_bytes()
        flip(whole_run / path, at)
        findings = verify(whole_run)
        assert findings, path
        assert findings[0].verdict is Verdict.DAMAGED
        assert whole_run / path == findings[0].path or any(
            (whole_run / path).is_relative_to(p) for p in findings[0].remove
        )
        (whole_run / path).write_bytes(content)
    assert verify(whole_run) == []


@pytest.mark.parametrize(
    ("path", "left", "removed"),
    [
        ("datasets/ct.json", "datasets/ct.npz", product("datasets/ct", ".npz")),
        (f"{ARM}.npz", f"{ARM}.json", product(ARM, ".json")),
        (f"{ARM}.record.json", f"{ARM}.json", [f"{ARM}.json", f"{ARM}.npz"]),
        ("figures/field/fid.svg", "figures/field/fid.svg", product("figures/field", "")),
        (f"{MODEL}/medbench.json", f"{MODEL}/medbench.json", MODEL_WHOLE),
        (f"{MODEL}.record.json", MODEL, [MODEL]),
    ],
)
def test_half_of_what_is_written_together_is_damage(whole_run, path, left, removed):
    (whole_run / path).unlink()
    (finding,) = verify(whole_run)
    assert finding.path == whole_run / left
    assert Path(path).name in f"{finding.path} {finding.problem}"
    assert sorted(finding.remove) == under(whole_run, removed)


def test_what_somebody_else_has_put_there_costs_nothing_that_is_whole(whole_run):
    (whole_run / MODEL / "Thumbs.db").write_text("x")
    (whole_run / MODEL / "unet" / "._config.json").write_text("x")
    (whole_run / "datasets" / ".DS_Store").write_text("x")
    assert verify(whole_run) == []
    (whole_run / MODEL / "unet" / "notes.txt").write_text("x")
    shutil.copy(whole_run / "datasets/ct.npz", whole_run / "datasets/ct_backup.npz")
    copy, notes = verify(whole_run)
    assert (copy.verdict, copy.remove) == (Verdict.UNCHECKED, ())
    assert "a copy of yours?" in copy.problem
    assert (notes.verdict, notes.remove) == (Verdict.DAMAGED, (whole_run / MODEL / "unet" / "notes.txt",))


def test_a_note_under_the_name_of_a_product_is_never_removed(whole_run):
    (whole_run / "datasets/ct.txt").write_text("mine")
    (finding,) = verify(whole_run)
    assert (finding.verdict, finding.path, finding.remove) == (Verdict.UNCHECKED, whole_run / "datasets/ct.txt", ())
    flip(whole_run / "datasets/ct.record.json")
    (damaged,) = verify(whole_run)
    assert sorted(damaged.remove) == under(whole_run, DATASET)


def test_what_a_job_may_be_writing_is_no_damage(whole_run):
    (whole_run / f"{ARM}.npz").unlink()
    with held(whole_run):
        at_work = verify(whole_run)
    for findings, verdict in ((at_work, Verdict.UNCHECKED), (verify(whole_run), Verdict.DAMAGED)):
        assert [finding.verdict for finding in findings if "written with it" in finding.problem] == [verdict]


def test_a_whole_run_is_counted(whole_run, capsys):
    last = print_verified(whole_run)
    assert (
        last
        == f"{whole_run}: {len(products_in(whole_run))} files and folders: 0 damaged, 0 left over, 0 cannot be checked"
    )
    assert capsys.readouterr().out == f"{last}\n"


def test_damage_ends_in_one_error_after_all_findings(whole_run, capsys):
    empty(whole_run / "report.html")
    flip(whole_run / f"{CLASSIC}.npz")
    with pytest.raises(UserError, match=r"demo: 2 damaged \(the first is .*seed0\.npz\); remove what is listed above"):
        print_verified(whole_run)
    first, second, last = capsys.readouterr().out.splitlines()
    path = whole_run / CLASSIC
    assert first.startswith(f"damaged: {path}.npz: {HASH}")
    assert first.endswith(f"; remove it: rm -r {path}.npz {path}.record.json")
    assert second.startswith(f"damaged: {whole_run}/report.html: {HASH}")
    assert last.endswith("folders: 2 damaged, 0 left over, 0 cannot be checked")


def test_what_was_made_from_another_dataset_is_found(whole_run):
    dataset = Dataset.load(whole_run / "datasets/ct.npz")
    train = dataset.splits["train"]
    dataset.splits["train"] = replace(train, images=255 - train.images)
    save(dataset, whole_run / "datasets/ct.npz")
    findings = {finding.path.relative_to(whole_run).as_posix(): finding for finding in verify(whole_run)}
    assert set(findings) == {
        "audit/ct.html",
        *(f"models/ct/{name}/seed0" for name in ("ae", "medienet", "classic")),
        *(f"features/ct/{split}.safetensors" for split in ("train", "test")),
        "utility/ct/steps/real/real.json",
        "utility/ct/steps/real+classic@1/seed0.json",
        "tables/field",
        "figures/field",
    }
    model = findings[MODEL]
    assert model.problem == f"was made from another {whole_run}/datasets/ct.npz than is there now"
    assert sorted(model.remove) == under(whole_run, MODEL_WHOLE)


def test_where_samples_changed_what_came_of_them_goes(whole_run):
    write_npz(whole_run / f"{CLASSIC}.npz", read_npz(whole_run / f"{CLASSIC}.npz") | {"labels": np.ones(8, int)})
    findings = {finding.path.relative_to(whole_run).as_posix(): finding for finding in verify(whole_run)}
    arm = "utility/ct/steps/real+classic@1/seed0"
    assert set(findings) == {f"{FEATURES}.safetensors", f"{arm}.json", "tables/field", "figures/field"}
    assert sorted(findings[f"{arm}.json"].remove) == under(whole_run, product(arm, ".json", ".npz"))


@pytest.mark.parametrize("note", [f"{FEATURES}.txt", f"{CLASSIC}.txt"])
def test_a_note_under_the_name_of_a_product_hides_nothing(whole_run, note):
    (whole_run / note).write_text("mine")
    write_npz(whole_run / f"{CLASSIC}.npz", read_npz(whole_run / f"{CLASSIC}.npz") | {"labels": np.ones(8, int)})
    assert f"{FEATURES}.safetensors" in {
        finding.path.relative_to(whole_run).as_posix() for finding in verify(whole_run)
    }


def test_a_note_in_a_model_hides_nothing(whole_run):
    formats.write_json(whole_run / "models/ct/ae/seed0/vae/config.json", {"channels": 8})
    write_sums(whole_run / "models/ct/ae/seed0")
    (whole_run / MODEL / "notes.txt").write_text("mine")
    assert {whole_run / MODEL, whole_run / MODEL / "notes.txt"} <= {finding.path for finding in verify(whole_run)}


def test_another_first_stage_is_found(whole_run):
    formats.write_json(whole_run / "models/ct/ae/seed0/vae/config.json", {"channels": 8})
    write_sums(whole_run / "models/ct/ae/seed0")
    found = {finding.path.relative_to(whole_run).as_posix() for finding in verify(whole_run)}
    assert MODEL in found
    assert "models/ct/classic/seed0" not in found


def test_what_comes_of_a_damaged_file_is_not_damaged(whole_run):
    cut(whole_run / "models/ct/ae/seed0/vae/config.json")
    flip(whole_run / "datasets/ct.npz")
    assert [finding.path.name for finding in verify(whole_run)] == ["ct.npz", "config.json"]


def test_the_record_of_another_version_is_named(whole_run):
    write_sealed(whole_run / f"{FID}.record.json", {"sha256": {}})
    (finding,) = verify(whole_run)
    assert finding.problem == "another version of medbench wrote it"
    assert sorted(finding.remove) == under(whole_run, product(FID, ".json"))


def test_what_was_made_from_a_removed_file_cannot_be_checked(whole_run):
    for path in product(CLASSIC, ".npz"):
        (whole_run / path).unlink()
    findings = verify(whole_run)
    assert {finding.verdict for finding in findings} == {Verdict.UNCHECKED}
    assert findings[0].path == whole_run / f"{FEATURES}.safetensors"
    assert findings[0].problem == f"{whole_run / CLASSIC}.npz, which it was made from, is not there"


def test_a_file_that_was_removed_alone_leaves_its_record_and_no_damage(whole_run):
    (whole_run / f"{CLASSIC}.npz").unlink()
    assert {finding.verdict for finding in verify(whole_run)} <= {Verdict.UNCHECKED}


@pytest.mark.parametrize("path", ["tables/notes.md", "models/ct/medienet/notes.md"])
def test_a_file_of_somebody_else_where_folders_are_expected_is_left_alone(whole_run, path):
    (whole_run / path).write_text("mine")
    (finding,) = verify(whole_run)
    assert (finding.verdict, finding.path, finding.remove) == (Verdict.UNCHECKED, whole_run / path, ())
    assert "a copy of yours?" in finding.problem


def test_what_cannot_be_read_is_said_beside_what_is_damaged(whole_run, monkeypatch):
    def hash_of(path):
        if path.name == "seed0.npz":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return sha256_of(path)

    empty(whole_run / "report.html")
    monkeypatch.setattr("medbench.run.records.sha256_of", hash_of)
    *unread, damaged = [finding.line() for finding in verify(whole_run) if "not there" not in finding.problem]
    assert f"cannot be checked: {whole_run / CLASSIC}.npz: cannot be read: Permission denied" in unread
    assert damaged.startswith(f"damaged: {whole_run}/report.html: ")


def test_a_damaged_checkpoint_is_found(whole_run):
    folder = whole_run / "checkpoints/train/ct-classic-seed0"
    write_text(folder / "step00000010-9834876dcfb05cb1.pt", "a")  # sha256 of "aaaaa"
    write_text(folder / "step00000005-ca978112ca1bbdca.pt", "a")
    (finding,) = verify(whole_run)
    assert finding.command == f"rm -r {folder}/step00000010-9834876dcfb05cb1.pt"
    assert "goes on from the one before" in finding.problem


def test_leftovers_of_interrupted_writes_are_no_damage(whole_run):
    leftovers = [whole_run / ".report.html.a1b2c3d4", whole_run / "models/ct/classic/.seed0.xy_z1234"]
    for folder in leftovers:
        write_text(folder / "seed0/medbench.json", "{")
    findings = verify(whole_run)
    assert [(finding.verdict, finding.remove) for finding in findings] == [
        (Verdict.LEFTOVER, (folder,)) for folder in leftovers
    ]
    assert print_verified(whole_run).endswith("0 damaged, 2 left over, 0 cannot be checked")


@pytest.mark.parametrize("name", ["it's a run", "-rf", "; echo hi", "größe"])
def test_commands_are_quoted(whole_run, tmp_path, monkeypatch, name):
    shutil.move(whole_run, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    empty(Path(name) / "report.html")
    (finding,) = verify(Path(name))
    subprocess.run(finding.command, shell=True, check=True)
    assert not (tmp_path / name / "report.html").exists()
    assert verify(Path(name)) == []


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="nothing: no such folder"):
        verify(tmp_path / "nothing")
    with pytest.raises(UserError, match="is no run, or an empty one"):
        verify(tmp_path)


def test_a_folder_that_is_no_run_is_one_line_and_exit_code_2(medbench, tmp_path):
    for verb in ("verify", "status"):
        done = medbench(verb, tmp_path / "nowhere")
        assert done.returncode == 2, done.stdout
        assert done.stderr.startswith("medbench: ") and done.stderr.count("\n") == 1


def test_what_somebody_put_beside_a_file_is_neither_damaged_nor_hides_damage(whole_run):
    write_text(whole_run / "datasets/ct.csv", "mine")
    (finding,) = verify(whole_run)
    assert (finding.verdict, finding.remove) == (Verdict.UNCHECKED, ())
    (whole_run / "datasets/ct.record.json").unlink()
    damaged = [finding for finding in verify(whole_run) if finding.verdict is Verdict.DAMAGED]
    assert [sorted(finding.remove) for finding in damaged] == [
        under(whole_run, ["datasets/ct.json", "datasets/ct.npz"])
    ]


def test_what_lies_outside_a_run_has_no_record_in_it(whole_run, tmp_path):
    write_text(tmp_path / "weights.pth", "weights")
    record(whole_run / "features/ct/train.safetensors", given=[tmp_path / "weights.pth"])
    assert [finding for finding in verify(whole_run) if "weights" in finding.problem] == []


def test_a_run_may_be_named_by_a_path_that_goes_up(whole_run):
    assert verify(whole_run / ".." / whole_run.name) == []


def test_a_link_to_nowhere_does_not_end_the_check(whole_run):
    (whole_run / "datasets/x.npz").symlink_to("nowhere")
    (finding,) = verify(whole_run)
    assert finding.path == whole_run / "datasets/x.npz"
