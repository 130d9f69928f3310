"""Each kind of damage is found, named, and removed by the command that is shown."""

import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from medbench.core.errors import UserError
from medbench.data.dataset import Dataset
from medbench.run.files import write_text
from medbench.run.sealed_files import read_json, read_npz, write_json, write_npz
from medbench.run.seals import write_sums
from medbench.run.verify import Verdict, files_of, print_verified, verify
from medbench.system.folder_lock import held
from tests.helpers.files import flip

MODEL, CLASSIC = "models/ct/medienet/seed0", "samples/ct/classic/seed0.npz"
FEATURES = "features/ct/classic/seed0.safetensors"
FID, ARM = "fidelity/ct/classic/seed0.json", "utility/ct/steps/real/real"
DATASET = ["datasets/ct.json", "datasets/ct.npz"]
UTILITY = [f"{ARM}.json", f"{ARM}.npz"]


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def no_files(path: Path) -> None:
    for file in path.iterdir():
        file.unlink()
    write_text(path / ".snakemake_timestamp", "")


def pickled(path: Path) -> None:
    np.savez(path, images=np.array([{}], dtype=object))


def not_finite(path: Path) -> None:
    if path.suffix == ".npz":
        write_npz(path, {"test_scores": np.array([0.5, np.nan])})
    else:
        save_file({"64": np.array([[np.inf]], np.float32)}, path)


def text(content: str) -> Callable[[Path], int]:
    return lambda path: path.write_text(content)


def under(run: Path, paths: Iterable[str]) -> list[Path]:
    return [run / path for path in paths]


@pytest.mark.parametrize(
    ("path", "damage", "problem", "removed"),
    [
        ("datasets/ct.npz", flip, "is not what its card, ct.json, was written for", DATASET),
        ("datasets/ct.npz", empty, "is not what its card, ct.json, was written for", DATASET),
        ("datasets/ct.raw.npz", cut, "is not what its card", ["datasets/ct.raw.json", "datasets/ct.raw.npz"]),
        ("datasets/ct.json", cut, "is not valid JSON", DATASET),
        ("audit/ct.neighbours.html", cut, "is cut off", ["audit/ct.neighbours.html"]),
        (f"{MODEL}/unet/model.safetensors", cut, "is not a readable safetensors file", [MODEL]),
        (f"{MODEL}/unet/config.json", cut, "is not valid JSON", [MODEL]),
        (f"{MODEL}/training.csv", text("step,loss\n1,0.5\n2"), "has rows of different lengths", [MODEL]),
        (CLASSIC, flip, "Bad CRC-32 for file 'images.npy'", [CLASSIC]),
        (CLASSIC, cut, "is not a readable npz file", [CLASSIC]),
        (CLASSIC, pickled, "holds pickled objects, which are never loaded", [CLASSIC]),
        (FEATURES, cut, "is not a readable safetensors file", [FEATURES]),
        (FEATURES, not_finite, "holds values that are not finite, in 64", [FEATURES]),
        (FID, text('{"rows": [{"value": NaN}]}'), "holds a value that is not finite (NaN)", [FID]),
        (FID, text('{"rows": [{"value": 1e999}]}'), "holds a value that is not finite (1e999)", [FID]),
        (FID, lambda path: write_json(path, {"rows": []}), "holds no scores", [FID]),
        (f"{ARM}.json", empty, "is empty", UTILITY),
        (f"{ARM}.npz", not_finite, "holds values that are not finite, in test_scores", UTILITY),
        ("tables/field/fid.csv", empty, "is empty", ["tables/field"]),
        ("tables/field", no_files, "holds no SHA256SUMS", ["tables/field"]),
        ("figures/field/fid.png", cut, "is not a readable image", ["figures/field"]),
        ("figures/field/fid.png", flip, "is not a readable image", ["figures/field"]),
        ("figures/field/fid.svg", cut, "does not end with </svg>", ["figures/field"]),
        ("report.html", cut, "does not end with </html>", ["report.html"]),
        ("sections/field.json", cut, "is not valid JSON", ["sections/field.json"]),
    ],
)
def test_damage_is_found_and_the_command_removes_it(whole_run, path, damage, problem, removed):
    damage(whole_run / path)
    (finding,) = verify(whole_run)
    assert (finding.verdict, finding.path) == (Verdict.DAMAGED, whole_run / path)
    assert problem in finding.problem
    assert list(finding.remove) == under(whole_run, removed)
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
        ("datasets/ct.json", "datasets/ct.npz", ["datasets/ct.npz"]),
        (f"{ARM}.npz", f"{ARM}.json", [f"{ARM}.json"]),
        ("figures/field/fid.svg", "figures/field", ["figures/field"]),
        (f"{MODEL}/medbench.json", MODEL, [MODEL]),
    ],
)
def test_half_of_what_is_written_together_is_damage(whole_run, path, left, removed):
    (whole_run / path).unlink()
    (finding,) = verify(whole_run)
    assert finding.path == whole_run / left
    assert Path(path).name in finding.problem
    assert list(finding.remove) == under(whole_run, removed)


def test_what_somebody_else_has_put_there_costs_nothing_that_is_whole(whole_run):
    (whole_run / MODEL / "Thumbs.db").write_text("x")
    (whole_run / MODEL / "unet" / "._config.json").write_text("x")
    (whole_run / "datasets" / ".DS_Store").write_text("x")
    assert verify(whole_run) == []
    (whole_run / MODEL / "unet" / "notes.txt").write_text("x")
    shutil.copy(whole_run / DATASET[1], whole_run / "datasets/ct_backup.npz")
    copy, notes = verify(whole_run)
    assert (copy.verdict, copy.remove) == (Verdict.UNCHECKED, ())
    assert "a copy of yours?" in copy.problem
    assert (notes.verdict, notes.remove) == (Verdict.DAMAGED, (whole_run / MODEL / "unet" / "notes.txt",))


def test_what_a_job_may_be_writing_is_no_damage(whole_run):
    (whole_run / f"{ARM}.npz").unlink()
    with held(whole_run):
        at_work = verify(whole_run)
    for findings, verdict in ((at_work, Verdict.UNCHECKED), (verify(whole_run), Verdict.DAMAGED)):
        assert [finding.verdict for finding in findings if "written with it" in finding.problem] == [verdict]


def test_a_whole_run_is_counted(whole_run, capsys):
    last = print_verified(whole_run)
    assert last == f"{whole_run}: {len(files_of(whole_run))} files: 0 damaged, 0 left over, 0 cannot be checked"
    assert capsys.readouterr().out == f"{last}\n"


def test_damage_ends_in_one_error_after_all_findings(whole_run, capsys):
    empty(whole_run / "report.html")
    flip(whole_run / CLASSIC)
    with pytest.raises(UserError, match=r"demo: 2 damaged \(the first is .*seed0\.npz\); remove what is listed above"):
        print_verified(whole_run)
    first, second, last = capsys.readouterr().out.splitlines()
    path = whole_run / CLASSIC
    assert first.startswith(f"damaged: {path}: is not a readable npz file")
    assert first.endswith(f"; remove it: rm -r {path}")
    assert second.startswith(f"damaged: {whole_run}/report.html: is empty")
    assert last.endswith("files: 2 damaged, 0 left over, 0 cannot be checked")


def test_what_was_made_from_another_dataset_is_found(whole_run):
    dataset = Dataset.load(whole_run / DATASET[1])
    train = dataset.splits["train"]
    dataset.splits["train"] = replace(train, images=255 - train.images)
    dataset.save(whole_run / DATASET[1])
    findings = {finding.path.relative_to(whole_run).as_posix(): finding for finding in verify(whole_run)}
    assert set(findings) == {
        "audit/ct.neighbours.json",
        *(f"models/ct/{name}/seed0/medbench.json" for name in ("ae", "medienet", "classic")),
        *(f"features/ct/{split}.safetensors" for split in ("train", "test")),
        "utility/ct/steps/real/real.json",
        "utility/ct/steps/real+classic@1/seed0.json",
    }
    model = findings[f"{MODEL}/medbench.json"]
    assert model.problem == "was made from another datasets/ct.npz than is there now"
    assert model.remove == (whole_run / MODEL,)


def test_where_samples_and_what_came_of_them_differ_both_go(whole_run):
    write_npz(whole_run / CLASSIC, read_npz(whole_run / CLASSIC) | {"labels": np.ones(8, int)})
    features, utility = verify(whole_run)
    assert features.problem == f"was made from another {CLASSIC} than is there now"
    assert features.remove == (whole_run / FEATURES, whole_run / CLASSIC)
    arm = whole_run / "utility/ct/steps/real+classic@1/seed0"
    assert utility.remove == (arm.with_suffix(".json"), arm.with_suffix(".npz"), whole_run / CLASSIC)


def test_another_first_stage_is_found(whole_run):
    write_json(whole_run / "models/ct/ae/seed0/vae/config.json", {"channels": 8})
    write_sums(whole_run / "models/ct/ae/seed0")
    (finding,) = verify(whole_run)
    assert finding.path == whole_run / MODEL / "medbench.json"
    assert finding.remove == (whole_run / MODEL, whole_run / "models/ct/ae/seed0")


def test_what_comes_of_a_damaged_file_is_not_damaged(whole_run):
    cut(whole_run / "models/ct/ae/seed0/vae/config.json")
    flip(whole_run / "datasets/ct.npz")
    assert [finding.path.name for finding in verify(whole_run)] == ["config.json", "ct.npz"]


def test_what_states_no_hash_cannot_be_checked(whole_run):
    card = read_json(whole_run / "datasets/ct.json")
    write_json(whole_run / "datasets/ct.json", card | {"npz_sha256": None})
    model = whole_run / "models/ct/classic/seed0/medbench.json"
    write_json(model, {"made_with": "older"})
    write_sums(model.parent)
    print_verified(whole_run)
    assert [finding.line() for finding in verify(whole_run)] == [
        f"cannot be checked: {path}: states no hash of datasets/ct.npz, as files of another version do"
        for path in (whole_run / "datasets/ct.json", model)
    ]
    cut(whole_run / "datasets/ct.npz")
    assert "is not a readable npz file" in verify(whole_run)[0].problem


def test_what_was_made_from_a_removed_file_cannot_be_checked(whole_run):
    (whole_run / CLASSIC).unlink()
    findings = verify(whole_run)
    assert {finding.verdict for finding in findings} == {Verdict.UNCHECKED}
    assert [finding.path.name for finding in findings] == ["seed0.safetensors", "seed0.json"]
    assert findings[0].problem == f"{CLASSIC}, which it was made from, is not there"


@pytest.mark.parametrize("path", ["tables/notes.md", "models/ct/medienet/notes.md"])
def test_a_file_of_somebody_else_where_folders_are_expected_is_left_alone(whole_run, path):
    (whole_run / path).write_text("mine")
    (finding,) = verify(whole_run)
    assert (finding.verdict, finding.path, finding.remove) == (Verdict.UNCHECKED, whole_run / path, ())
    assert finding.problem == "is a file where folders are expected: not one of this run"


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
