"""benchmarks/same_numbers.py: what it calls a difference, and that its study leaves no kind out."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import yaml

from benchmarks.same_numbers import chosen, compare, summary
from medbench.augmenters import built_in
from medbench.augmenters.diffusion_sections import DiffusionSection
from medbench.config.load import parse
from medbench.config.study import Config
from medbench.core.arms import Arm
from medbench.core.sections import Budget
from medbench.data.sections import Protocol

ROOT = Path(__file__).parents[1]
IMAGES, AUROC, CELL = "sample/ct/ldm/seed0/images", "utility/ct/steps/real/real/auroc/all/seed0", "printed/fid/64"


@pytest.fixture
def numbers():
    """A pixel array, a score, a cell with an interval of which one end is not known."""
    return {
        IMAGES: np.arange(48, dtype=np.uint8).reshape(3, 4, 4),
        AUROC: np.float64(0.75),
        CELL: np.array([12.5, np.nan]),
    }


def different(before, after):
    """name -> state and difference, without the equal ones."""
    compared = compare(before, after).set_index("name")
    return compared[compared["state"] != "equal"][["state", "difference"]].to_dict("index")


def test_equal_numbers_do_not_differ(numbers):
    assert different(numbers, {name: array.copy() for name, array in numbers.items()}) == {}


def test_one_changed_pixel_is_found(numbers):
    images = numbers[IMAGES].copy()
    images[1, 2, 3] += 7
    assert different(numbers, {**numbers, IMAGES: images}) == {IMAGES: {"state": "changed", "difference": 7}}


def test_a_score_that_changed_in_its_last_bit_is_found(numbers):
    differences = different(numbers, {**numbers, AUROC: np.nextafter(numbers[AUROC], 1)})
    assert differences[AUROC]["state"] == "changed"
    assert 0 < differences[AUROC]["difference"] < 1e-15


@pytest.mark.parametrize(
    "array", [np.zeros((3, 4, 5), np.uint8), np.arange(48, dtype=np.int64).reshape(3, 4, 4), np.array(["a", "b"])]
)
def test_another_shape_or_type_is_a_change(numbers, array):
    assert different(numbers, {**numbers, IMAGES: array})[IMAGES]["state"] == "changed"


def test_an_array_that_is_not_there_is_named(numbers):
    fewer = {name: array for name, array in numbers.items() if name != IMAGES}
    assert different(numbers, fewer)[IMAGES]["state"] == "only before"
    assert different(fewer, numbers)[IMAGES]["state"] == "only after"


def test_the_summary_counts_by_group_and_names_what_differs(numbers):
    text = summary(compare(numbers, {**numbers, AUROC: np.float64(0.5), "model/ct/w": np.ones(2)}))
    counts = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith(("utility", "model"))}
    assert counts == {"utility": ["0", "1", "0", "0"], "model": ["0", "0", "0", "1"]}
    assert f"changed: {AUROC}, by 0.25" in text
    assert "only after: model/ct/w" in text


def test_patterns_choose_names(numbers):
    assert list(chosen(numbers, [], [])) == list(numbers)
    assert list(chosen(numbers, ["sample/*", "utility/*"], ["*/auroc/*"])) == [IMAGES]


def test_the_study_holds_every_kind_loss_sampler_budget_and_protocol():
    raw = yaml.safe_load((ROOT / "benchmarks/small_study.yaml").read_text(encoding="utf-8"))
    raw["fidelity"]["weights"]["sha256"] = "0" * 64
    config = parse(Config, raw, "small_study.yaml")
    studies = [config.studies[name] for name in config.run]
    augmenters = [config.augmenters[name] for study in studies for name in study.augmenters]
    first_stages = [config.augmenters[section.reads_model] for section in augmenters if section.reads_model]
    assert {section.kind for section in [*augmenters, *first_stages]} == set(built_in())
    for key in ("loss", "sampler"):
        allowed = set(get_args(DiffusionSection.model_fields[key].annotation))
        assert {getattr(section, key) for section in augmenters if hasattr(section, key)} == allowed
    assert {budget for study in studies for budget in study.budgets} == set(get_args(Budget))
    assert {config.datasets[name].protocol for study in studies for name in study.datasets} == set(get_args(Protocol))
    assert {Arm.parse(name).ratio for study in studies for name in study.arms} >= {0.5, 1, 2}
