"""Names and paths that a shell, an option parser or a page would take for something else."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from medbench.config.load import load
from medbench.core.errors import UserError
from tests.helpers.configs import MINIMAL, changed

NAMES = ["; rm -rf x", "$(touch pwned)", "`touch pwned`", "-rf", "../up", "a b", "a'b", "a\nb", "ü", ""]


def renamed(section: str, name: str) -> dict:
    raw = copy.deepcopy(MINIMAL)
    raw[section][name] = next(iter(raw[section].values()))
    return raw


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("section", ["datasets", "augmenters", "studies", "name", "run"])
def test_a_name_that_is_none_is_refused_in_one_line(section, name):
    raw = renamed(section, name) if isinstance(MINIMAL[section], dict) else changed(section, name)
    if section == "run":
        raw["run"] = [name]
    with pytest.raises(UserError, match=r"^config: .* is no name \(expected lower-case letters, digits and _\)$") as no:
        load(raw)
    assert "\n" not in str(no.value)


@pytest.mark.parametrize("name", NAMES)
def test_an_arm_of_such_a_name_is_refused(name):
    for arm in (name, f"real+{name}@1", f"only-{name}"):
        with pytest.raises(UserError, match=r"^config: studies\.s\.arms\.0: .* is no arm"):
            load(changed("studies.s.arms", [arm]))


@pytest.mark.parametrize("path", ["-rf", "--help", "a b'c\"d$(touch pwned)ü", "a\nb"])
def test_a_path_is_a_path_to_every_verb(path, verb, tmp_path):
    write_images(tmp_path / path)
    section = {"name": "mine", "dataset": {"kind": "folder", "path": path, "image_size": 8}, "seed": 0}
    code, line = verb("prepare", "out.npz", "--config", section)
    assert code == 0, line
    assert {file.name for file in tmp_path.iterdir()} == {path, "out.npz", "out.json", "out.record.json"}


def test_so_is_a_file_that_an_option_names(verb):
    section = {"name": "x", "dataset": {"kind": "phantom", "subject": "ct"}, "seed": 0}
    code, line = verb("audit", "no.npz", "out.npz", "--found", "--help", "--config", section)
    assert (code, line[:13]) == (2, "medbench: no.")


ODD = 'a b\'c "d" ü $(touch pwned) `touch pwned`; touch pwned #'


def write_images(root: Path, classes: tuple[str, ...] = ("one", "two")) -> None:
    rng = np.random.RandomState(0)
    for name in classes:
        (root / name).mkdir(parents=True)
        for number in range(10):
            image = Image.fromarray(rng.randint(0, 255, (8, 8), dtype=np.uint8))
            image.save(root / name / f"-{number} $(touch pwned).png")


@pytest.fixture
def odd_project(root, tmp_path):
    """A checkout in a folder of an odd name, with a config of odd paths and texts."""
    folder = tmp_path / ODD
    folder.mkdir()
    for name in ("medbench", "workflow", "profiles", "Snakefile", "config.yaml"):
        (folder / name).symlink_to(root / name)
    (folder / f"tmp {ODD}").mkdir()
    write_images(folder / "-rf $(touch pwned)", ("<b>one", "two $(touch pwned) `touch pwned`"))
    texts = dict.fromkeys(("title", "citation", "licence", "accept_licence"), f"'; touch pwned; {ODD}")
    dataset = {"kind": "folder", "path": "-rf $(touch pwned)", "image_size": 8, **texts}
    study = {"datasets": ["odd"], "augmenters": ["classic"], "generator_seeds": [0], "arms": ["real"]}
    config = {"name": "odd", "datasets": {"odd": dataset}, "studies": {"odd": study}, "run": ["odd"]}
    config |= {"fidelity": {"weights": "random"}, "utility": {"init": "scratch", "weights": None}}
    (folder / f"my {ODD}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [Path(sys.executable).parent / "snakemake", "--configfile", f"my {ODD}.yaml", *arguments]
    environment = {**os.environ, "TMPDIR": str(folder / f"tmp {ODD}")}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)


def test_a_study_runs_where_every_name_is_odd(odd_project, tmp_path):
    """As far as the audit and the sections, whose rule runs in Snakemake itself: all other rules are made alike."""
    targets = [f"results/odd/{name}" for name in ("audit/odd.html", "sections/odd.json", "sections/report.json")]
    done = snakemake(odd_project, "--cores", "2", "--", *targets)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(tmp_path.rglob("pwned"))
    assert "<b>one" not in (odd_project / "results/odd/audit/odd.html").read_text(encoding="utf-8")


def test_what_a_shell_would_misread_is_refused_where_snakemake_spells_it(odd_project, tmp_path):
    """Without our profiles it starts itself anew for some rules, as it does for all on a cluster."""
    options = "--cores", "1", "--workflow-profile", "none", "--nolock"
    done = snakemake(odd_project, *options, "--", "results/odd/sections/odd.json")
    assert done.returncode == 1
    assert "this name reaches jobs on a cluster through a shell that would misread it" in done.stderr
    assert not list(tmp_path.rglob("pwned"))
