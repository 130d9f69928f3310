import json
import re

import pytest
import yaml

from medbench.config import page_sections, plan
from medbench.config.load import as_written, load, read_config
from medbench.config.study import RULES, Config
from medbench.core.errors import UserError
from tests.helpers.configs import MINIMAL, changed


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("colour", "red", r"unknown key 'colour' \(allowed: augmenters, datasets"),
        ("augmenters.ddpm.lose", "l2", r"augmenters\.ddpm: unknown key 'lose' \(allowed: .*loss"),
        ("datasets.ct.trian", 5, r"datasets\.ct: unknown key 'trian'"),
        (
            "augmenters.ddpm.loss",
            "l3",
            r"augmenters\.ddpm\.loss: 'l3' is not allowed \(allowed: 'l1', 'l2' or 'huber'\)",
        ),
        (
            "augmenters.ddpm.kind",
            "gan",
            r"augmenters\.ddpm: kind 'gan' is not known \(allowed: annotated_ddpm, autoencoder, cddpm, .*, mixup.*; a"
            r" package brings its own by an entry point medbench\.augmenters\)",
        ),
        ("augmenters.ddpm", {"loss": "l2"}, r"augmenters\.ddpm: kind is required"),
        ("augmenters.ddpm", "l2", r"augmenters\.ddpm: 'l2' is no section"),
        (
            "datasets.ct.kind",
            "slides",
            r"datasets\.ct: kind 'slides' is not known \(allowed: 'phantom', 'npz', 'folder', .*\)",
        ),
        ("datasets.ct", {"subject": "ct"}, r"datasets\.ct: kind is required"),
        ("datasets.ct", {"kind": "npz"}, r"datasets\.ct\.path: is required"),
        ("datasets.ct", {"kind": "folder", "path": "x"}, r"datasets\.ct\.image_size: is required"),
        ("datasets.ct.train_fraction", 0, r"datasets\.ct\.train_fraction: 0: .*greater than 0"),
        ("datasets.ct.train_fraction", "half", r"datasets\.ct\.train_fraction: 'half': .*valid number"),
        ("augmenters.ddpm.steps", -1, r"augmenters\.ddpm\.steps: -1: .*greater than 0"),
        ("augmenters.ddpm.steps", 2.5, r"augmenters\.ddpm\.steps: 2\.5: .*valid integer"),
        ("augmenters.ddpm.timesteps", 1, r"augmenters\.ddpm\.timesteps: 1: .*greater than or equal to 2"),
        (
            "studies.s.arms",
            ["real", "fake"],
            r"studies\.s\.arms\.1: 'fake' is no arm \(real, real\+<augmenter>@<ratio>, only-<augmenter>\)",
        ),
        ("studies.s.arms", ["only-oversample"], r"studies\.s\.arms\.0: 'only-oversample' is no arm"),
        ("studies.s.arms", ["real", "real"], r"studies\.s: arms: 'real' is listed twice"),
        (
            "studies.s.arms",
            ["only-other"],
            r"studies\.s: arms: only-other: 'other' is not among the study's augmenters",
        ),
        (
            "studies.s.arms",
            ["only-ddpm"],
            r"studies\.s\.arms: only-ddpm: a classifier needs labels, and ddpm makes none \(give it cond",
        ),
        ("studies.s", {"datasets": ["ct"]}, r"studies\.s: has neither augmenters nor arms"),
        ("studies.s.generator_seeds", [0, 0], r"studies\.s: generator_seeds: 0 is listed twice"),
        ("studies.s.paper", "cao", r"studies\.s\.paper\.0: 'cao' is not allowed \(allowed: 'cao2025' or 'med"),
        ("studies.s.paper", ["cao2025"] * 2, r"studies\.s: paper: 'cao2025' is listed twice"),
        ("studies.s.paper", 2025, r"studies\.s\.paper: 2025: .*valid list"),
        ("studies.s.budgets", ["steps", "steps"], r"studies\.s: budgets: 'steps' is listed twice"),
        ("utility", {"classifier_seeds": [3, 3]}, r"utility: classifier_seeds: 3 is listed twice"),
        ("studies.s.generator_seeds", [], r"studies\.s: augmenters and generator_seeds come together"),
        (
            "augmenters.oversample",
            {"kind": "annotated_ddpm"},
            r"augmenters\.oversample: is the name of the control arm",
        ),
        ("utility", {"init": "imagenet"}, r"utility: init imagenet needs weights"),
        ("utility", {"steps": 5}, r"utility: validations 20: more than there are steps \(5\)"),
        ("augmenters.ddpm.width", 30, r"augmenters\.ddpm\.width: 30: .*multiple of 4"),
        (
            "fidelity.dimensions",
            [128],
            r"fidelity\.dimensions\.0: 128 is not allowed \(allowed: 64, 192, 768 or 2048\)",
        ),
        ("fidelity.weights", {"sha256": "a" * 64}, r"fidelity\.weights: give one of path, url and hub"),
        ("fidelity.weights", "rndom", r"fidelity\.weights: 'rndom'"),
        ("fidelity.weights", {"path": "x", "sha256": "abc"}, r"fidelity\.weights\.sha256: 'abc'"),
        ("studies.s.datasets", ["mri"], r"studies\.s\.datasets: 'mri' is not defined under datasets \(defined: ct\)"),
        ("studies.s.augmenters", ["gan"], r"studies\.s\.augmenters: 'gan' is not defined under augmenters"),
        ("studies.s.datasets", ["ct", "ct"], r"studies\.s\.datasets: 'ct' is listed twice"),
        ("run", ["other"], r"run: 'other' is not defined under studies \(defined: s\)"),
        ("run", [], r"run: \[\]: .*at least 1 item"),
        ("name", "My Run", r"name: 'My Run'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(path, value, message):
    with pytest.raises(UserError, match=f"^config: {message}") as error:
        load(changed(path, value))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["ablation", "sampling"])
def test_ablation_and_sampling_name_an_augmenter_of_the_study(key):
    assert getattr(load(changed(f"studies.s.{key}", "ddpm")).studies["s"], key) == "ddpm"
    with pytest.raises(UserError, match=rf"^config: studies\.s: {key}: 'own' is not among the study's augmenters$"):
        load(changed(f"studies.s.{key}", "own"))


def test_checks_by_random_weights_are_refused_where_a_listed_study_reaches_them():
    raw = changed("augmenters.own", {"kind": "cddpm", "fidelity_checks": 2})
    raw["studies"]["other"] = {"datasets": ["ct"], "augmenters": ["own"], "generator_seeds": [0]}
    assert load(raw).augmenters["own"].reads_inception
    raw["run"] = ["s", "other"]
    refusal = (
        r"^config: augmenters\.own\.fidelity_checks: random Inception weights say nothing .*; give fidelity\.weights"
    )
    with pytest.raises(UserError, match=refusal):
        load(raw)
    raw["fidelity"]["weights"] = {"path": "w.pth", "sha256": "0" * 64}
    assert plan.train_section(load(raw), "own").inception_sha256 == "0" * 64
    assert plan.train_section(load(raw), "ddpm").inception_sha256 is None


def test_numbers_may_arrive_as_text():
    """As they do from `snakemake --config`."""
    assert load(changed("seed", "5")).seed == 5


@pytest.mark.parametrize(
    ("written", "papers"),
    [(None, []), ("cao2025", ["cao2025"]), (["medienet2025", "cao2025"], ["medienet2025", "cao2025"])],
)
def test_a_study_follows_no_paper_or_one_or_several(written, papers):
    config = load(changed("studies.s.paper", written))
    assert config.studies["s"].paper == page_sections.report_section(config, "s").papers == papers
    assert load(config.model_dump(mode="json")) == config


def test_environment_variables_are_filled_in_and_missed_only_where_needed(monkeypatch):
    raw = changed("datasets.own", {"kind": "npz", "path": "${MEDBENCH_TEST_NPZ}"})
    assert load(raw).datasets["own"].path == "${MEDBENCH_TEST_NPZ}"  # defined, but nothing that runs reaches it
    raw["studies"]["s"]["datasets"] = ["own"]
    with pytest.raises(UserError, match=r"datasets\.own: the environment variable MEDBENCH_TEST_NPZ is not set"):
        load(raw)
    monkeypatch.setenv("MEDBENCH_TEST_NPZ", "here.npz")
    assert load(raw).datasets["own"].path == "here.npz"
    assert as_written(raw).datasets["own"].path == "${MEDBENCH_TEST_NPZ}"


def test_variables_of_a_first_stage_are_missed_where_a_study_reaches_it():
    weights = {"path": "vae.safetensors", "sha256": "${MEDBENCH_TEST_SHA256}"}
    raw = changed("augmenters.ae", {"kind": "autoencoder", "weights": weights})
    raw["augmenters"]["own"] = {"kind": "ldm", "first_stage": "ae"}
    load(raw)
    raw["studies"]["s"]["augmenters"] = ["own"]
    with pytest.raises(UserError, match=r"augmenters\.ae: the environment variable MEDBENCH_TEST_SHA256 is not set"):
        load(raw)


def test_a_stage_sees_only_its_own_section():
    before, after = load(MINIMAL), load(changed("augmenters.other", {"kind": "annotated_ddpm", "loss": "huber"}))
    assert plan.train_section(before, "ddpm").canonical() == plan.train_section(after, "ddpm").canonical()
    assert plan.train_section(after, "other").canonical() != plan.train_section(after, "ddpm").canonical()
    resampled = load(changed("augmenters.ddpm.sample_batch_size", 3))
    assert plan.train_section(before, "ddpm").canonical() == plan.train_section(resampled, "ddpm").canonical()
    assert plan.sample_section(before, "ddpm").canonical() != plan.sample_section(resampled, "ddpm").canonical()


@pytest.fixture
def with_presets(root, monkeypatch):
    """config.yaml alone, and under each preset, by name."""
    presets = sorted((root / "workflow/presets").glob("*.yaml"))
    for variable in re.findall(r"\$\{(\w+)\}", "".join(preset.read_text() for preset in presets)):
        monkeypatch.setenv(variable, "0" * 64 if variable.endswith("SHA256") else "some/file")
    full = yaml.safe_load((root / "config.yaml").read_text())
    loaded = {"config": load(full)}
    for preset in presets:
        assert set(yaml.safe_load(preset.read_text())) <= set(Config.model_fields)
        loaded[preset.stem] = load(read_config([root / "config.yaml", preset], {}))
    return loaded


def test_the_config_of_the_project_and_its_presets_load(with_presets):
    assert with_presets["config"].run == ["cao2025", "medienet2025", "ablation", "guidance"]
    assert all(config.name == name for name, config in with_presets.items() if name != "config")


def test_every_generator_that_stands_beside_others_is_averaged(with_presets):
    """All that a study reaches, but for the walk-through's: those of cao2025, which have no labels."""
    for preset, config in with_presets.items():
        reached = {name for study in config.studies.values() for name in plan.image_augmenters(config, study)}
        sections = {name: config.augmenters[name] for name in reached if hasattr(config.augmenters[name], "ema_decay")}
        bare = {name for name, section in sections.items() if section.ema_decay is None}
        walkthrough = {name for name in bare if not sections[name].labelled}
        assert bare == walkthrough <= {"annotated_l2", "annotated_huber"}, preset
        assert all(section.ema_decay == 0.999 for name, section in sections.items() if name not in bare), preset


def test_the_papers_table_is_small_and_the_field_is_not_run_unasked(with_presets):
    config = with_presets["config"]
    paper, field = config.studies["medienet2025"], config.studies["field2026"]
    assert paper.augmenters == ["medienet_l2", "medienet_huber"]
    assert paper.arms == ["real", "real+oversample@1", "real+medienet_l2@1", "real+medienet_huber@1"]
    assert (paper.generator_seeds, paper.budgets, paper.datasets) == ([0, 1, 2], ["steps"], field.datasets)
    assert "medienet2025" in config.run
    assert "field2026" not in config.run
    assert set(paper.arms) < set(field.arms)


def test_paths_begin_at_home_as_in_a_shell(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for written in ("~/photos", "$HOME/photos", "${HOME}/photos"):
        raw = changed("datasets.ct", {"kind": "folder", "path": written, "image_size": 32, "title": "5 ~ $HOME"})
        assert load(raw).datasets["ct"].path == f"{tmp_path}/photos"
        assert load(raw).datasets["ct"].title == "5 ~ $HOME"
        assert as_written(raw).datasets["ct"].path == written  # what may be shown to others


def test_the_schema_for_editors_is_that_of_the_config(root):
    written = json.loads((root / "workflow/schemas/config.schema.json").read_text())
    assert written == json.loads(json.dumps(Config.model_json_schema())), "run `make schema`"


def test_no_study_has_the_name_of_a_rule(root):
    rules = set(
        re.findall(
            r"^(?:rule|use rule \w+ as) (\w+)",
            "".join(path.read_text() for path in root.glob("workflow/rules/*.smk")),
            re.M,
        )
    )
    assert rules | {"all", "features"} == RULES
    raw = changed("studies.train", MINIMAL["studies"]["s"])
    with pytest.raises(UserError, match=r"studies\.train: is the name of a rule"):
        load(raw)
