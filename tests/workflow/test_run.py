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
from tests.helpers.files import copy_project, flip
from tests.security import watcher

TINY = """
name: tiny
torch_threads: 1
datasets:
  phantom_xray: {train: 8, val: 4, test: 4}
augmenters:
  annotated_l2: {width: 8, multipliers: [1, 2], timesteps: 4, steps: 2, batch_size: 4, horizontal_flip: false,
                 conditioning: label}
  vae: {widths: [8, 8], layers_per_stage: 1, discriminator_width: 8, steps: 2, batch_size: 4}
  medienet_l2: {widths: [16], layers_per_stage: 1, context_dim: 8, sample_steps: 2, steps: 2,
                batch_size: 4, fidelity_checks: 0}
  medienet_twice: {kind: medienet, model: medienet_l2, sample_steps: 4}
fidelity: {weights: random, dimensions: [64], n_generated: 6}
utility:
  {network: resnet18, init: scratch, weights: null, image_size: 16, steps: 2, batch_size: 4, validations: 1,
   classifier_seeds: [0]}
studies:
  tiny:
    datasets: [phantom_xray]
    augmenters: [annotated_l2, medienet_l2, medienet_twice]
    generator_seeds: [0]
    arms: [real, real+annotated_l2@1]
    sampling: medienet_l2
run: [tiny]
"""


class Project:
    """A copy of the project that a test may edit."""

    def __init__(self, folder: Path):
        self.folder = folder

    def snakemake(self, *arguments: str, fails: bool = False) -> str:
        command = [Path(sys.executable).parent / "snakemake", "--cores", "2", "--configfile", "tiny.yaml", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, env=environment)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def would_run(self) -> set[str]:
        return set(re.findall(r"^rule (\w+):", self.snakemake("-n"), re.MULTILINE)) - {"all"}

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.folder / path).read_text()
        assert old in text
        (self.folder / path).write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The tiny study, run to its end once for all tests of this file."""
    folder = tmp_path_factory.mktemp("project") / "medbench"
    copy_project(folder)
    shutil.copy(watcher.__file__, folder / "sitecustomize.py")
    (folder / "tiny.yaml").write_text(TINY)
    project = Project(folder)
    project.snakemake()
    return project


@pytest.fixture
def project(finished, tmp_path):
    """The finished study in a copy of its own."""
    shutil.copytree(finished.folder, tmp_path / "copy", copy_function=shutil.copy2)
    return Project(tmp_path / "copy")


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


def test_no_process_opens_a_port(finished):
    noted = [file.read_text() for file in (finished.folder / "watched").iterdir()]
    verbs = {words[words.index("medbench") + 1] for words in map(str.split, noted) if "medbench" in words}
    assert verbs == {"prepare", "audit", "audit-page", "train", "sample", "features", "fidelity", "utility"} | PAGES
    assert not [text for text in noted if "\nport " in text]


def test_a_second_run_does_nothing(project):
    assert "Nothing to be done" in project.snakemake()


def test_a_comment_reruns_nothing(project):
    project.edit("medbench/training/loop.py", "import torch\n", "# a comment\nimport torch\n")
    project.edit("medbench/fidelity/metrics/frechet.py", "The Fréchet distance between", "Reworded: the distance of")
    assert project.would_run() == set()


@pytest.mark.parametrize(
    ("path", "old", "new", "reruns"),
    [
        ("medbench/training/loop.py", "set_to_none=True", "set_to_none=False", AFTER_TRAINING),
        ("medbench/augmenters/annotated/unet.py", "10000", "20000", AFTER_TRAINING),
        ("medbench/augmenters/batches.py", "= 60.0", "= 59.0", AFTER_TRAINING - {"train"}),
        ("medbench/data/npz.py", "LAYOUT = ", 'LAYOUT = "" + ', set()),
        ("medbench/fidelity/fidelity.py", "n_real // 2", "n_real // 3", {"fidelity"} | PAGES),
        ("medbench/report/figures/fid_rows.py", "pad=3", "pad=4", {"figures", "report"}),
        ("medbench/utility/classifier.py", "/ 255", "/ 254", {"utility"} | PAGES),
    ],
)
def test_edited_code_reruns_its_stage_and_what_follows(project, path, old, new, reruns):
    project.edit(path, old, new)
    assert project.would_run() == reruns


@pytest.mark.parametrize(
    ("old", "new", "reruns"),
    [
        ("timesteps: 4, steps: 2", "timesteps: 4, steps: 3", AFTER_TRAINING),
        ("discriminator_width: 8", "discriminator_width: 16", AFTER_TRAINING - {"utility"}),  # no arm has its images
        ("sample_steps: 4}", "sample_steps: 5}", AFTER_TRAINING - {"train", "utility"}),
        ("image_size: 16, steps: 2", "image_size: 16, steps: 3", {"utility"} | PAGES),
        ("classifier_seeds: [0]", "classifier_seeds: [0, 1]", {"utility"} | PAGES),
        ("@1]", "@2]", AFTER_TRAINING - {"train"}),
        ("n_generated: 6", "n_generated: 7", AFTER_TRAINING - {"train"}),
        ("run: [tiny]", "run: [tiny]\nprecision: fp32", AFTER_TRAINING),
    ],
)
def test_an_edited_setting_reruns_the_stages_that_have_it(project, old, new, reruns):
    project.edit("tiny.yaml", old, new)
    assert project.would_run() == reruns | {"section"}


def test_a_definition_that_nothing_reaches_reruns_nothing(project):
    project.edit("tiny.yaml", "augmenters:\n", "augmenters:\n  another: {kind: annotated_ddpm, loss: l1}\n")
    assert project.would_run() == set()


def own_images(path: Path, test_labels: list[int]) -> None:
    arrays = {f"{split}_images": np.zeros((4, 16, 16), np.uint8) for split in ("train", "val", "test")}
    arrays |= {f"{split}_labels": np.array([0, 1, 0, 1])[:, None] for split in ("train", "val")}
    np.savez(path, **arrays, test_labels=np.array(test_labels)[:, None])


def test_with_keep_going_a_failing_arm_is_a_gap_until_it_is_mended(project):
    """In a run folder that nothing was made in before, and again after an edit, beside older results."""
    results = project.folder / "results/fresh"
    project.edit("tiny.yaml", "name: tiny", "name: fresh")
    project.edit("tiny.yaml", "datasets:\n", "datasets:\n  own: {kind: npz, path: own.npz}\n")
    project.edit("tiny.yaml", "studies:\n", "studies:\n  second: {datasets: [own], arms: [real, real+oversample@1]}\n")
    project.edit("tiny.yaml", "run: [tiny]", "run: [second]")
    own_images(project.folder / "own.npz", test_labels=[0, 0, 0, 0])
    printed = project.snakemake("--keep-going", fails=True)
    said, log = "datasets.own: the test split holds only class 0", "logs/utility/own-steps-real-real.log"
    assert re.search(rf"^medbench: utility own-steps-real-real: {said}.* \(log: results/fresh/{log}\)$", printed, re.M)
    assert "missing" in (results / "partial/tables/second/utility.md").read_text()
    page = (results / "partial/report.html").read_text()
    assert "Nothing is missing" not in page
    assert log in page
    assert f"it failed ({said}" in page
    assert not (results / "report.html").exists()

    own_images(project.folder / "own.npz", test_labels=[0, 1, 0, 1])
    project.snakemake()
    table = (results / "tables/second/utility.md").read_text()
    assert "missing" not in table
    assert "Nothing is missing" in (results / "report.html").read_text()
    assert not (results / "partial").exists()

    own_images(project.folder / "own.npz", test_labels=[1, 1, 1, 1])
    project.edit("tiny.yaml", "image_size: 16, steps: 2", "image_size: 16, steps: 3")
    project.snakemake("--keep-going", fails=True)
    assert "missing" in (results / "partial/tables/second/utility.md").read_text()
    assert (results / "tables/second/utility.md").read_text() == table


def test_with_keep_going_a_failing_augmenter_is_a_gap_and_the_others_finish(project):
    images = project.folder / "few.npz"
    np.savez(images, images=np.zeros((2, 28, 28), np.uint8), labels=np.array([0, 1]))
    project.edit("tiny.yaml", "augmenters:\n", "augmenters:\n  few: {kind: images, path: few.npz}\n")
    project.edit("tiny.yaml", "augmenters: [annotated_l2,", "augmenters: [few, annotated_l2,")
    project.edit("tiny.yaml", "real+annotated_l2@1]", "real+annotated_l2@1, real+few@1]")
    printed = project.snakemake("--keep-going", fails=True)
    assert "sample few seed 0: few.npz holds 1 images of class normal" in printed
    assert "Traceback" not in printed
    table = (project.folder / "results/tiny/partial/tables/tiny/fid.md").read_text()
    assert "missing" in table
    assert "medienet_l2" in table
    assert "missing" in (project.folder / "results/tiny/partial/tables/tiny/utility.md").read_text()


def test_snakemakes_own_report_shows_tables_and_figures_by_study(project):
    project.snakemake("--report", "own.zip")
    shown = zipfile.ZipFile(project.folder / "own.zip").namelist()
    assert any(name.endswith("utility.md") for name in shown)
    assert any(name.endswith("auroc_by_arm.png") for name in shown)
    assert any(name.endswith("report.html") and "data" in name for name in shown)


def content(results: Path) -> dict[str, str]:
    """Path -> hash of all that later stages read, and of the tables."""
    stages = ("datasets", "models", "samples", "features", "fidelity", "utility", "tables")
    files = (path for stage in stages for path in (results / stage).rglob("*") if path.is_file())
    return {str(path.relative_to(results)): sha256_of(path) for path in files if not path.name.startswith(".")}


def test_a_damaged_output_is_refused_and_made_again_as_it_was(project):
    results = project.folder / "results/tiny"
    before = content(results)
    damaged = "results/tiny/features/phantom_xray/annotated_l2/seed0.safetensors"
    shutil.rmtree(results / "tables")  # as in a run that was stopped on its way
    flip(project.folder / damaged)
    printed = project.snakemake(fails=True)
    (line,) = re.findall(r"^medbench: fidelity phantom_xray-annotated_l2-seed0: (.*) \(log: .*\)$", printed, re.M)
    problem, command = line.split("; remove it: ")
    assert problem == f"{damaged}: is damaged (its content is not what its own sha256 says)"
    assert len(printed[printed.rindex(line) :].splitlines()) < 10, printed[-2000:]  # it is not buried
    subprocess.run(command, shell=True, check=True, cwd=project.folder)
    project.snakemake()
    assert content(results) == before
