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
    once = dict.fromkeys(("tables", "figures", "report", "all"), 1)
    assert jobs == {**per_generator, "prepare": 2, "features_real": 4, "utility": 2 * 3, **once}  # 3 arms
    assert "phantom_xray" not in printed
    assert "results/full" not in printed


def test_the_cpu_preset_plans_all_arms_of_a_fraction(planned, root, tmp_path, monkeypatch):
    for variable in ("MEDBENCH_PNEUMONIA", "MEDBENCH_INCEPTION"):
        (tmp_path / variable).touch()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setenv("MEDBENCH_INCEPTION_SHA256", "0" * 64)
    jobs, _ = planned("--configfile", str(root / "workflow/presets/cpu.yaml"))
    assert (jobs["prepare"], jobs["train"], jobs["utility"], jobs["tables"]) == (2, 2, 6 + 1, 2)


def test_the_full_study_shares_its_models_between_studies(planned):
    jobs, _ = planned("--resources", "gpu=2")
    models = 3 * 2 * 3 * 2  # datasets × losses × seeds; without labels for cao2025, with them for medienet2025
    assert jobs["train"] == jobs["sample"] == jobs["fidelity"] == models
    assert jobs["prepare"] == 3
    assert jobs["fetch_weights"] == 2
    assert jobs["report"] == 1
    assert jobs["tables"] == jobs["figures"] == 2


def test_an_arm_as_large_as_the_real_one_is_trained_once_for_both_budgets(planned):
    _, printed = planned("medienet2025")
    trained = set(re.findall(r"output: results/full/utility/phantom_ct/(\S+)\.json", printed))
    controls = {f"real+oversample@{ratio}/real" for ratio in ("0.5", "1", "2")}
    mixed = ("real+annotated_huber_label@1", *(f"real+annotated_l2_label@{ratio}" for ratio in ("0.5", "1", "2")))
    larger = controls | {f"{arm}/seed{seed}" for arm in mixed for seed in (0, 1, 2)}
    as_large = {"real/real"} | {f"only-annotated_l2_label/seed{seed}" for seed in (0, 1, 2)}
    assert trained == {f"{budget}/{name}" for budget in ("steps", "epochs") for name in larger} | {
        f"steps/{name}" for name in as_large
    }


def test_no_stage_but_prepare_reads_what_a_fraction_was_cut_from(planned, tmp_path):
    (tmp_path / "whole.npz").touch()
    fraction = f"{{kind: npz, path: {tmp_path / 'whole.npz'}, train_fraction: 0.1}}"
    arms = "[real, only-annotated_l2_label]"
    study = f"{{datasets: [part], augmenters: [annotated_l2_label], generator_seeds: [0], arms: {arms}}}"
    jobs, printed = planned("mine", "--config", f"datasets={{part: {fraction}}}", f"studies={{mine: {study}}}")
    readers = [block for block in printed.split("\nrule ") if f"{tmp_path}/whole.npz" in block.split("output:")[0]]
    assert [block.partition(":")[0] for block in readers] == ["prepare"]
    assert jobs["prepare"] == 1
    assert jobs["utility"] == 2


@pytest.mark.parametrize(("study", "models"), [("cao2025", 18), ("medienet2025", 18)])
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
