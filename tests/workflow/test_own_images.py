"""A user's own images under Snakemake: content decides what is made again, wherever they lie."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.test_folder import put, two_classes

MINE = """
name: mine
datasets:
  own: {kind: folder, path: %s, image_size: 16}
studies:
  mine: {datasets: [own], arms: [real]}
utility: {init: scratch}
run: [mine]
"""
AUDIT, CARD = "results/mine/audit/own.json", "results/mine/datasets/own.raw.json"


@pytest.fixture
def snakemake(root, tmp_path):
    """A function: Snakemake in an empty folder with the config in mine.yaml; what it said."""
    (tmp_path / "config.yaml").symlink_to(root / "config.yaml")

    def run(*arguments: str) -> str:
        command = [
            Path(sys.executable).parent / "snakemake",
            "--snakefile",
            root / "Snakefile",
            "--directory",
            tmp_path,
        ]
        command += ["--cores", "1", "--configfile", tmp_path / "mine.yaml", "--", AUDIT, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_touched_copied_and_littered_folders_are_the_same_and_linked_ones_are_read(snakemake, tmp_path):
    two_classes(tmp_path / "store")
    own = tmp_path / "own"
    own.mkdir()
    for name in ("ill", "well"):
        (own / name).symlink_to(tmp_path / "store" / name)
    (tmp_path / "mine.yaml").write_text(MINE % own)
    snakemake()
    counts = json.loads((tmp_path / CARD).read_text())["counts"]
    shutil.copytree(own, tmp_path / "copy")
    shutil.rmtree(own)
    shutil.move(tmp_path / "copy", own)
    (own / "ill" / ".DS_Store").write_bytes(b"Bud1")
    os.utime(own)
    assert "Nothing to be done" in snakemake()
    put(own / "ill" / "new.png", 77)
    snakemake()
    assert (
        sum(map(sum, json.loads((tmp_path / CARD).read_text())["counts"].values()))
        == 41
        > sum(map(sum, counts.values()))
    )


def test_a_table_below_the_project_itself_makes_only_its_images_an_input(snakemake, tmp_path):
    two_classes(tmp_path / "img")
    rows = [f"img/{cls}/{n:02}.png,{cls}" for cls in ("ill", "well") for n in range(20)]
    (tmp_path / "list.csv").write_text("path,label\n" + "\n".join(rows))
    (tmp_path / "mine.yaml").write_text(MINE % "., table: list.csv")
    snakemake()
    os.utime(tmp_path / "list.csv", (1, 1))
    assert "Nothing to be done" in snakemake()
