"""What Snakemake plans, without running anything."""

import copy
import re
from collections import Counter
from pathlib import Path

import pytest

from medbench.config import inputs, page_sections, plan
from medbench.config.inputs import Outside
from medbench.config.load import load
from medbench.config.study import Config
from medbench.core.errors import UserError
from medbench.core.sections import WeightsFile


@pytest.fixture
def planned(root, tmp_path, snakemake):
    """A function: the jobs of a dry run as a Counter of rule names, and all that was printed."""

    def dry_run(*arguments: str) -> tuple[Counter, str]:
        place = ["--snakefile", root / "Snakefile", "--directory", tmp_path, "--cores", 8]
        printed = snakemake("-n", *place, *arguments, folder=root)
        return Counter(re.findall(r"^rule (\w+):", printed, re.MULTILINE)), printed

    return dry_run


def test_a_folders_own_config_is_read_in_place_of_ours(planned, root, tmp_path):
    text = (root / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("name: full", "name: own", 1))
    assert "results/own/" in planned("guidance")[1]


def test_the_demo_plans_nothing_that_it_does_not_need(planned, root):
    jobs, printed = planned("--configfile", str(root / "workflow/presets/demo.yaml"))
    # 2 datasets × annotated under 2 losses, medienet and its first stage, classic
    per_generator = dict.fromkeys(("train", "sample", "features_generated", "fidelity"), 2 * 5)
    once = dict.fromkeys(("tables", "figures", "report", "all"), 1)
    twice = dict.fromkeys(
        ("prepare", "audit", "audit_page", "section"), 2
    )  # a section for the study, and for the report
    assert jobs == {**per_generator, **twice, "features_real": 4, "utility": 2 * 5, **once}  # 5 arms
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
    # Datasets × seeds × augmenters: cao2025's two; medienet2025's two, and the first stage that they share; ablation's
    # six parts, whose whole medienet2025 has; guidance has that one's model and trains none.
    models = 4 * 3 * 2 + 6 * 3 * (2 + 1) + 1 * 3 * 6
    assert jobs["train"] == models
    assert jobs["sample"] == jobs["features_generated"] == jobs["fidelity"] == models + 7  # of guidance, with one seed
    assert jobs["prepare"] == jobs["audit"] == jobs["neighbours"] == 4 + 6
    assert jobs["fetch"] == 4 + 3 + 2  # a file for both protocols of each set of MedIENet's; two of weights
    assert jobs["report"] == 1
    assert jobs["tables"] == jobs["figures"] == 4


def test_an_arm_as_large_as_the_real_one_is_trained_once_for_both_budgets(planned):
    jobs, printed = planned("field2026")
    assert (jobs["train"], jobs["tables"]) == (198, 1)
    trained = set(re.findall(r"output: results/full/utility/chest_ct/(\S+)\.json", printed))
    unseeded = [*(f"real+oversample@{ratio}" for ratio in ("0.5", "1", "2")), "real+mixup@1", "real+cutmix@1"]
    others = ["medienet_huber", "ldm", "cddpm", "annotated_l2_label", "annotated_huber_label"]
    others += ["cvae", "cgan", "classic", "copy"]
    seeded = [*(f"real+medienet_l2@{ratio}" for ratio in ("0.5", "1", "2")), *(f"real+{name}@1" for name in others)]
    larger = {f"{arm}/real" for arm in unseeded} | {f"{arm}/seed{seed}" for arm in seeded for seed in (0, 1, 2)}
    as_large = {"real/real"} | {f"only-medienet_l2/seed{seed}" for seed in (0, 1, 2)}
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
    assert readers == []  # not even prepare, to Snakemake: it compares the content
    assert jobs["prepare"] == 1
    assert jobs["utility"] == 2


def test_each_study_is_a_target(planned):
    jobs, _ = planned("cao2025", "medienet2025")
    assert (jobs["train"], jobs["tables"]) == (24 + 54, 2)


def test_a_mistake_in_the_config_is_one_line_before_any_job(root, snakemake):
    printed = snakemake("--cores", 1, "--config", "run=[nothing]", folder=root, fails=True)
    defined = "ablation, cao2025, field2026, guidance, medienet2025"
    assert [line for line in printed.splitlines() if line.startswith("medbench")] == [
        f"medbench: config: run: 'nothing' is not defined under studies (defined: {defined})"
    ]
    assert "Traceback" not in printed


def test_a_first_stage_is_trained_once_for_all_that_use_it_and_a_model_once_for_all_that_sample_it(planned, tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "phantom_ct.npz").touch()
    ready = "{kind: images, path: 'made/{dataset}.npz'}"
    listed = "[medienet_l2, ldm, medienet_g1_s10, medienet_g4_s50, ready, mixup]"
    arms = "[real, real+medienet_g1_s10@1, real+mixup@1, only-mixup, only-ready]"
    study = f"{{datasets: [phantom_ct], augmenters: {listed}, generator_seeds: [0, 1], arms: {arms}}}"
    jobs, printed = planned("mine", "--config", f"augmenters={{ready: {ready}}}", f"studies={{mine: {study}}}")
    assert jobs["train"] == 2 * 4  # medienet, ldm, their first stage, and the given images
    assert jobs["sample"] == jobs["features_generated"] == jobs["fidelity"] == 2 * (4 + 2)
    assert jobs["utility"] == 3 + 2 * 2  # real, real+mixup and only-mixup need no generator
    inputs = {output: line for line, output in re.findall(r"input: (.+)\n\s+output: results/full/([^\s,]+)", printed)}
    first = "models/phantom_ct/vae/seed1"
    users = [output for output, line in inputs.items() if output.startswith("models/") and first in line]
    assert sorted(users) == ["models/phantom_ct/ldm/seed1", "models/phantom_ct/medienet_l2/seed1"]
    for name in ("medienet_l2", "medienet_g1_s10", "medienet_g4_s50"):
        model = inputs[f"samples/phantom_ct/{name}/seed1.npz"].split(", ")[0]
        assert model == "results/full/models/phantom_ct/medienet_l2/seed1"
    assert "made/phantom_ct.npz" not in inputs["models/phantom_ct/ready/seed0"]  # of which the content is compared


# The plan without Snakemake -------------------------------------------------------------------------------------

HUB = {"hub": "stabilityai/sd-vae-ft-mse", "sha256": "0" * 64}
RAW = {
    "name": "mine",
    "datasets": {name: {"kind": "phantom", "subject": "ct"} for name in ("ct", "mri")},
    "augmenters": {
        "published": {"kind": "autoencoder", "weights": HUB},
        "ae": {"kind": "autoencoder"},
        "ldm": {"kind": "ldm", "first_stage": "ae"},
        "medienet": {"kind": "medienet", "first_stage": "ae", "guidance_scale": 3},
        "fast": {"model": "medienet", "sample_steps": 5},
        "on_published": {"kind": "ldm", "first_stage": "published"},
        "given": {"kind": "images", "path": "made/{dataset}.npz"},
        "mixup": {"kind": "mixup", "alpha": 0.4},
    },
    "fidelity": {"weights": "random", "n_generated": 10},
    "run": ["s"],
}


def configured(*augmenters: str, datasets=("ct", "mri"), arms=(), seeds=(0, 1)) -> Config:
    study = {"datasets": list(datasets), "augmenters": list(augmenters), "generator_seeds": list(seeds)}
    study["arms"] = list(arms)
    return load({**RAW, "studies": {"s": study}})


@pytest.mark.parametrize(
    ("listed", "making"),
    [
        (["ldm"], ["ldm", "ae"]),
        (["medienet", "ldm"], ["medienet", "ldm", "ae"]),
        (["ae", "ldm"], ["ae", "ldm"]),
        (["fast"], ["fast", "ae"]),
        (["mixup"], []),
        (["on_published", "ldm", "given", "mixup"], ["on_published", "ldm", "given", "published", "ae"]),
    ],
)
def test_first_stages_of_listed_augmenters_are_sources_of_images_too(listed, making):
    seeds = (0,) if "given" in listed else (0, 1)  # ready images are the same for every seed
    models = plan.models(configured(*listed, seeds=seeds), "s")
    assert models == [(dataset, name, seed) for dataset in ("ct", "mri") for name in making for seed in seeds]


def test_what_samples_another_ones_model_expects_that_model():
    config = configured("fast", "medienet", datasets=["ct"])
    assert [plan.trained_as(config, name) for name in ("fast", "medienet")] == ["medienet"] * 2
    report = page_sections.report_section(config, "s")
    assert [path for path in report.expected if path.startswith("models/")] == [
        f"models/ct/{name}/seed{seed}" for name in ("medienet", "ae") for seed in (0, 1)
    ]
    assert (report.models, report.ceilings) == ({"fast": "medienet"}, ["ae"])
    assert report.first_stages == {"fast": "ae", "medienet": "ae"}
    sampled = [plan.sample_section(config, name).augmenter for name in ("fast", "medienet")]
    assert [(section.guidance_scale, section.sample_steps) for section in sampled] == [(3, 5), (3, 50)]


def test_classifiers_that_mix_on_the_fly_are_of_real_images():
    config = configured("mixup", "medienet", datasets=["ct"], arms=["real+mixup@1", "only-mixup", "only-medienet"])
    runs = plan.classifier_runs(config, "s")
    assert runs == [
        ("ct", "steps", "real+mixup@1", "real"),
        ("ct", "steps", "only-mixup", "real"),
        ("ct", "steps", "only-medienet", "seed0"),
        ("ct", "steps", "only-medienet", "seed1"),
    ]
    mixing = [plan.utility_section(config, "ct", "steps", run.arm).mixing for run in runs]
    assert [section and section.alpha for section in mixing] == [0.4, 0.4, None, None]


def test_a_study_of_nothing_but_mixing_makes_no_images():
    config = configured("mixup", arms=["real", "only-mixup"])
    assert plan.models(config, "s") == []
    assert {run.origin for run in plan.classifier_runs(config, "s")} == {"real"}
    assert inputs.fetches(config) == {}


def test_published_weights_are_downloaded_under_their_name_where_a_study_needs_them():
    config = configured("on_published")
    ((record, stage),) = inputs.fetches(config).items()
    path = "resources/weights/stabilityai--sd-vae-ft-mse.safetensors"
    assert (str(stage.remote.path), record) == (path, f"{path}.fetched.json")
    assert inputs.augmenter_file(config, "ct", "published") == [Outside(path, record)]
    assert stage.remote.urls[0].startswith("https://huggingface.co/stabilityai/sd-vae-ft-mse/resolve/main/")
    assert inputs.fetches(configured("ldm")) == {}


def test_given_images_are_those_of_the_dataset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = configured("given", seeds=[0])
    assert inputs.augmenter_file(config, "mri", "given") == [Outside("made/mri.npz")]
    with pytest.raises(UserError, match=r"^config: augmenters\.given\.path: no such path: made/ct\.npz \(expected"):
        inputs.check_paths(config)
    Path("made").mkdir()
    for name in ("ct", "mri"):
        Path(f"made/{name}.npz").touch()
    inputs.check_paths(config)


def test_a_published_file_that_is_not_there_is_missed_before_any_job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config, absent = configured("on_published"), WeightsFile(path="vae.pth", sha256="0" * 64)
    config.augmenters["published"] = config.augmenters["published"].model_copy(update={"weights": absent})
    missing = r"^config: augmenters\.published\.weights\.path: no such path: vae\.pth \(expected a file of weights\)$"
    with pytest.raises(UserError, match=missing):
        inputs.check_paths(config)


def test_training_does_not_depend_on_how_it_is_sampled():
    changed = copy.deepcopy(RAW)
    changed["augmenters"]["medienet"] |= {"guidance_scale": 1, "sampler": "dpmsolver++", "sample_batch_size": 3}
    studies = {"s": {"datasets": ["ct"], "augmenters": ["medienet"], "generator_seeds": [0]}}
    before, after = (load({**raw, "studies": studies}) for raw in (RAW, changed))
    assert plan.train_section(before, "medienet").canonical() == plan.train_section(after, "medienet").canonical()
    assert plan.sample_section(before, "medienet").canonical() != plan.sample_section(after, "medienet").canonical()
