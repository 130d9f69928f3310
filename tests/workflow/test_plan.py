"""What Snakemake plans, without running anything."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SNAKEMAKE = Path(sys.executable).parent / "snakemake"


@pytest.fixture
def planned(root, tmp_path):
    """A function: the jobs of a dry run as a Counter of rule names, and all that was printed."""

    def plan(*arguments: str) -> tuple[Counter, str]:
        command = [SNAKEMAKE, "-n", "--snakefile", root / "Snakefile", "--directory", tmp_path, "--cores", "8"]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, cwd=root)
        printed = done.stdout + done.stderr
        assert done.returncode == 0, printed
        return Counter(re.findall(r"^rule (\w+):", printed, re.MULTILINE)), printed

    (tmp_path / "config.yaml").symlink_to(root / "config.yaml")
    return plan


def test_the_demo_plans_nothing_that_it_does_not_need(planned, root):
    jobs, printed = planned("--configfile", str(root / "workflow/presets/demo.yaml"))
    per_generator = dict.fromkeys(("train", "sample", "features_generated", "fidelity"), 4)  # 2 datasets × 2 losses
    assert jobs == {**per_generator, "prepare": 2, "features_real": 4, "tables": 1, "figures": 1, "all": 1}
    assert "phantom_xray" not in printed
    assert "results/full" not in printed


def test_the_full_study_shares_its_models_between_studies(planned):
    jobs, _ = planned("--resources", "gpu=2")
    assert jobs["train"] == jobs["sample"] == jobs["fidelity"] == 3 * 2 * 3  # datasets × losses × seeds of cao2025
    assert jobs["prepare"] == 3
    assert jobs["fetch_weights"] == 1
    assert jobs["tables"] == jobs["figures"] == 2


@pytest.mark.parametrize(("study", "models"), [("cao2025", 18), ("medienet2025", 6)])
def test_each_study_is_a_target(planned, study, models):
    jobs, _ = planned(study)
    assert (jobs["train"], jobs["tables"]) == (models, 1)


def test_a_study_of_ones_own_is_a_target_too(planned):
    mine = "{mine: {datasets: [phantom_ct], augmenters: [annotated_l2], generator_seeds: [4]}}"
    jobs, printed = planned("mine", "--config", f"studies={mine}")
    assert jobs["train"] == 1
    assert "results/full/models/phantom_ct/annotated_l2/seed4" in printed


def test_a_mistake_in_the_config_is_one_line_before_any_job(root, tmp_path):
    command = [SNAKEMAKE, "--snakefile", root / "Snakefile", "--cores", "1", "--config", "run=[nothing]"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("medbench")]
    assert said == ["medbench: config: run: 'nothing' is not defined under studies (defined: cao2025, medienet2025)"]
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
