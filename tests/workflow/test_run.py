"""A study smaller than the demo, run whole, then edited: what runs again and what does not."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from medbench.run.files import sha256_of
from medbench.run.layout import record_of
from tests.helpers.files import copy_project, flip
from tests.security import watcher

TINY = """
name: tiny
torch_threads: 1
datasets:
  phantom_xray: {train: 8, val: 4, test: 4}
augmenters:
  vae: {widths: [8, 8], layers_per_stage: 1, discriminator_width: 8, steps: 2, batch_size: 4}
  medienet_l2: {widths: [16], layers_per_stage: 1, context_dim: 8, sample_steps: 2, steps: 2,
                batch_size: 4, fidelity_checks: 0}
  more_steps: {kind: medienet, model: medienet_l2, sample_steps: 4}
fidelity: {weights: random, dimensions: [64], n_generated: 6}
utility:
  {network: resnet18, init: scratch, weights: null, image_size: 16, steps: 2, batch_size: 4, validations: 1,
   classifier_seeds: [0]}
studies:
  tiny:
    datasets: [phantom_xray]
    augmenters: [medienet_l2, more_steps]
    generator_seeds: [0]
    arms: [real, real+medienet_l2@1]
run: [tiny]
"""


class Project:
    """A copy of the project with a study in tiny.yaml, which a test may edit."""

    def __init__(self, folder: Path, snakemake):
        self.folder = folder
        self._snakemake = snakemake

    def snakemake(self, *arguments: str, fails: bool = False) -> str:
        command = ["--cores", "2", "--configfile", "tiny.yaml", *arguments]
        return self._snakemake(*command, folder=self.folder, fails=fails, PYTHONPATH=str(self.folder))

    def would_run(self) -> set[str]:
        return set(re.findall(r"^rule (\w+):", self.snakemake("-n"), re.MULTILINE)) - {"all"}

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.folder / path).read_text()
        assert old in text
        (self.folder / path).write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, snakemake):
    """The tiny study, run to its end once for all tests of this file, by a user's own command."""
    folder = tmp_path_factory.mktemp("project") / "medbench"
    copy_project(folder)
    shutil.copy(watcher.__file__, folder / "sitecustomize.py")
    (folder / "tiny.yaml").write_text(TINY)
    command = [Path(sys.executable).parent / "snakemake", "--cores", "2", "--configfile", "tiny.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    assert run.returncode == 0, run.stdout + run.stderr
    return Project(folder, snakemake)


@pytest.fixture
def edit(finished):
    """A function that edits a file of the finished study until the test ends, which may only plan."""
    edited = {}

    def replace(path: str, old: str, new: str) -> None:
        file = finished.folder / path
        edited.setdefault(file, (file.read_text(), file.stat()))
        finished.edit(path, old, new)

    yield replace
    for file, (text, status) in edited.items():
        file.write_text(text)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))  # what Python has compiled is told by its time


@pytest.fixture
def project(finished, tmp_path, snakemake):
    """The finished study in a copy of its own."""
    shutil.copytree(finished.folder, tmp_path / "copy")
    return Project(tmp_path / "copy", snakemake)


PAGES = {"tables", "figures", "report"}
AFTER_TRAINING = {"train", "sample", "features_generated", "fidelity", "utility"} | PAGES


def test_everything_is_there_and_says_that_its_weights_are_random(finished):
    results = finished.folder / "results/tiny"
    table = (results / "tables/tiny/fid.md").read_text()
    assert "phantom_xray" in table
    assert "random" in table.lower()
    assert "phantom_xray" in (results / "tables/tiny/utility.md").read_text()
    assert "Nothing is missing" in (results / "report.html").read_text()
    figures = {path.name for path in (results / "figures/tiny").glob("*.png")}
    assert {"fid_by_augmenter.png", "training_curves.png", "samples_phantom_xray.png"} <= figures
    assert not list((results / "checkpoints").rglob("*.pt"))


def test_a_file_that_lost_its_record_is_made_again_once_a_job_reads_it(project):
    """Another version's run, too, goes on by itself; what nothing reads again stays as it is."""
    datasets = project.folder / "results/tiny/datasets"
    (datasets / "phantom_xray.raw.record.json").unlink()
    assert project.would_run() == set()
    (datasets / "phantom_xray.record.json").unlink()
    assert {"prepare", "audit", "train"} <= project.would_run()


def test_no_process_opens_a_port(finished):
    noted = [file.read_text() for file in (finished.folder / "watched").iterdir()]
    verbs = {words[words.index("medbench") + 1] for words in map(str.split, noted) if "medbench" in words}
    assert verbs == {"prepare", "audit", "audit-page", "train", "sample", "features", "fidelity", "utility"} | PAGES
    assert not [text for text in noted if "\nport " in text]


def test_a_second_run_does_nothing(finished):
    assert "Nothing to be done" in finished.snakemake()


def test_comments_words_and_what_nothing_reaches_rerun_nothing(finished, edit):
    edit("medbench/training/loop.py", "import torch\n", "# a comment\nimport torch\n")
    edit("medbench/fidelity/metrics/frechet.py", "The Fréchet distance between", "Reworded: the distance of")
    edit("medbench/data/npz.py", "LAYOUT = ", 'LAYOUT = "" + ')
    edit("tiny.yaml", "augmenters:\n", "augmenters:\n  another: {kind: annotated_ddpm, loss: l1}\n")
    assert finished.would_run() == set()


@pytest.mark.parametrize(
    ("path", "old", "new", "reruns"),
    [
        ("medbench/training/loop.py", "set_to_none=True", "set_to_none=False", AFTER_TRAINING),
        ("medbench/augmenters/medienet/attention.py", "b * sin", "a * sin", AFTER_TRAINING),
        ("medbench/augmenters/batches.py", "= 60.0", "= 59.0", AFTER_TRAINING - {"train"}),
        ("medbench/fidelity/fidelity.py", "n_real // 2", "n_real // 3", {"fidelity"} | PAGES),
        ("medbench/report/figures/fid_rows.py", "pad=3", "pad=4", {"figures", "report"}),
        ("medbench/utility/classifier.py", "/ 255", "/ 254", {"utility"} | PAGES),
    ],
)
def test_edited_code_reruns_its_stage_and_what_follows(finished, edit, path, old, new, reruns):
    edit(path, old, new)
    assert finished.would_run() == reruns


@pytest.mark.parametrize(
    ("old", "new", "reruns"),
    [
        ("sample_steps: 2, steps: 2", "sample_steps: 2, steps: 3", AFTER_TRAINING),
        ("discriminator_width: 8", "discriminator_width: 16", AFTER_TRAINING),  # of the first stage
        ("sample_steps: 2,", "sample_steps: 4,", AFTER_TRAINING - {"train"}),
        ("vae: {", "vae: {sample_batch_size: 4, ", AFTER_TRAINING - {"train", "utility"}),  # no arm has its images
        ("image_size: 16, steps: 2", "image_size: 16, steps: 3", {"utility"} | PAGES),
        ("classifier_seeds: [0]", "classifier_seeds: [0, 1]", {"utility"} | PAGES),
        ("@1]", "@2]", AFTER_TRAINING - {"train"}),
        ("n_generated: 6", "n_generated: 7", AFTER_TRAINING - {"train"}),
        ("run: [tiny]", "run: [tiny]\nprecision: fp32", AFTER_TRAINING),
    ],
)
def test_an_edited_setting_reruns_the_stages_that_have_it(finished, edit, old, new, reruns):
    edit("tiny.yaml", old, new)
    assert finished.would_run() == reruns | {"section"}


def own_images(path: Path, test_labels: list[int]) -> None:
    arrays = {f"{split}_images": np.zeros((4, 16, 16), np.uint8) for split in ("train", "val", "test")}
    arrays |= {f"{split}_labels": np.array([0, 1, 0, 1])[:, None] for split in ("train", "val")}
    np.savez(path, **arrays, test_labels=np.array(test_labels)[:, None])


def test_with_keep_going_a_failing_arm_is_a_gap_until_it_is_mended(project):
    """In a run folder that nothing was made in before."""
    results = project.folder / "results/fresh"
    project.edit("tiny.yaml", "name: tiny", "name: fresh")
    project.edit("tiny.yaml", "datasets:\n", "datasets:\n  own: {kind: npz, path: own.npz}\n")
    project.edit("tiny.yaml", "studies:\n", "studies:\n  second: {datasets: [own], arms: [real]}\n")
    project.edit("tiny.yaml", "run: [tiny]", "run: [second]")
    own_images(project.folder / "own.npz", test_labels=[0, 0, 0, 0])
    printed = project.snakemake("--keep-going", fails=True)
    problem, log = "datasets.own: the test split holds only class 0", "logs/utility/own-steps-real-real.log"
    assert re.search(
        rf"^medbench: utility own-steps-real-real: {problem}.* \(log: results/fresh/{log}\)$", printed, re.M
    )
    assert "missing" in (results / "partial/tables/second/utility.md").read_text()
    page = (results / "partial/report.html").read_text()
    assert "Nothing is missing" not in page
    assert log in page
    assert f"it failed ({problem}" in page
    assert not (results / "report.html").exists()

    own_images(project.folder / "own.npz", test_labels=[0, 1, 0, 1])
    project.snakemake()
    assert "missing" not in (results / "tables/second/utility.md").read_text()
    assert "Nothing is missing" in (results / "report.html").read_text()
    assert not (results / "partial").exists()


def test_with_keep_going_a_failing_augmenter_is_a_gap_and_the_others_finish(project):
    """After an edit, beside older results, which stay."""
    results = project.folder / "results/tiny"
    tables = [(results / f"tables/tiny/{name}.md").read_text() for name in ("fid", "utility")]
    np.savez(project.folder / "few.npz", images=np.zeros((2, 28, 28), np.uint8), labels=np.array([0, 1]))
    project.edit("tiny.yaml", "augmenters:\n", "augmenters:\n  few: {kind: images, path: few.npz}\n")
    project.edit("tiny.yaml", "augmenters: [medienet_l2, more_steps]", "augmenters: [few, medienet_l2]")
    project.edit("tiny.yaml", "real+medienet_l2@1]", "real+medienet_l2@1, real+few@1]")
    printed = project.snakemake("--keep-going", fails=True)
    assert "sample few seed 0: few.npz holds 1 images of class normal" in printed
    assert "Traceback" not in printed
    fid, utility = ((results / f"partial/tables/tiny/{name}.md").read_text() for name in ("fid", "utility"))
    assert "missing" in fid
    assert "medienet_l2" in fid
    assert "missing" in utility
    assert [(results / f"tables/tiny/{name}.md").read_text() for name in ("fid", "utility")] == tables


def test_snakemakes_own_report_shows_tables_and_figures_by_study(finished, tmp_path):
    finished.snakemake("--report", str(tmp_path / "own.zip"))
    shown = zipfile.ZipFile(tmp_path / "own.zip").namelist()
    assert any(name.endswith("utility.md") for name in shown)
    assert any(name.endswith("auroc_by_arm.png") for name in shown)
    assert any(name.endswith("report.html") and "data" in name for name in shown)


def content(results: Path) -> dict[str, str]:
    """Path -> hash of all that later stages read, and of the tables; records hold times."""
    stages = ("datasets", "models", "samples", "features", "fidelity", "utility", "tables")
    files = (path for stage in stages for path in (results / stage).rglob("[!.]*") if path.is_file())
    return {str(path.relative_to(results)): sha256_of(path) for path in files if path != record_of(path)}


def test_a_damaged_output_is_refused_and_made_again_as_it_was(project):
    results = project.folder / "results/tiny"
    before = content(results)
    damaged = "results/tiny/features/phantom_xray/medienet_l2/seed0.safetensors"
    shutil.rmtree(results / "tables")  # as in a run that was stopped on its way
    flip(project.folder / damaged)
    printed = project.snakemake(fails=True)
    (line,) = re.findall(r"^medbench: fidelity phantom_xray-medienet_l2-seed0: (.*) \(log: .*\)$", printed, re.M)
    problem, command = line.split("; remove it: ")
    assert problem == f"{damaged}: is damaged (its content is not what its record says)"
    assert len(printed[printed.rindex(line) :].splitlines()) < 10, printed[-2000:]  # it is not buried
    subprocess.run(command, shell=True, check=True, cwd=project.folder)
    project.snakemake()
    assert content(results) == before


def test_what_a_kill_left_without_a_record_is_made_again_by_the_same_command(project):
    results = project.folder / "results/tiny"
    before = content(results)
    for product in ("samples/phantom_xray/medienet_l2/seed0", "tables/tiny", "utility/phantom_xray/steps/real/real"):
        (results / f"{product}.record.json").unlink()
    assert {"sample", "tables", "utility"} <= project.would_run()
    project.snakemake()
    assert content(results) == before
    assert project.would_run() == set()
