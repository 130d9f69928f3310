"""Files of a run: which job writes each, from what, and where its log is."""

import re

import pytest

from medbench.config.stage_code import MODULES
from medbench.run.layout import PRODUCTS, STAGES, job_of, made_from, stage_of

PATHS = (
    "datasets/ct.npz",
    "models/ct/gen/seed0",
    "samples/ct/gen/seed1.npz",
    "features/ct/train.safetensors",
    "features/ct/gen/seed0.safetensors",
    "fidelity/ct/gen/seed0.json",
    "utility/ct/steps/real/real.json",
    "utility/ct/epochs/real+gen@0.5/seed1.json",
)


def test_every_stage_has_a_module():
    assert tuple(MODULES) == STAGES


def test_every_output_of_a_job_leads_to_it_alone():
    """Or a record, a companion or a page would be taken for another job's."""
    values = {"dataset": "ct", "augmenter": "gen", "seed": "0", "split": "train", "budget": "steps", "study": "s"}
    values |= {"arm": "real+gen@0.5", "origin": "seed0", "page": "s"}
    for product in PRODUCTS:
        for pattern in (*product.outputs, *product.records):
            path = pattern.format(**values)
            assert [other for other in PRODUCTS if other.parts(path) is not None] == [product]
            assert job_of(path).path == product.pattern.format(**values)


def test_no_two_jobs_share_a_log_or_checkpoints():
    for paths in ([product.log for product in PRODUCTS], [product.checkpoints for product in PRODUCTS]):
        assert len(set(paths)) == len(PRODUCTS)
        for product, path in zip(PRODUCTS, paths, strict=True):
            assert re.findall(r"\{\w+\}", path) == re.findall(r"\{\w+\}", product.pattern)


def test_what_no_job_writes_is_refused():
    for path in ("datasets/ct_backup.txt", "models/ct/gen", "utility/ct/steps/real+gen/seed0.json"):
        with pytest.raises(ValueError, match=f"^{re.escape(path)}: no job of a run writes it"):
            job_of(path)


def test_every_rule_names_its_files_by_the_layout(root):
    """No path under a run is spelled a second time."""
    rules = "".join(path.read_text() for path in sorted((root / "workflow/rules").glob("*.smk")))
    folders = {product.pattern.split("/")[0] for product in PRODUCTS} | {"logs", "checkpoints"}
    assert re.findall(rf"results/\{{\w+\}}/({'|'.join(folders)})\b", rules) == []


def test_a_file_is_made_from_earlier_stages_and_in_the_end_from_the_dataset():
    for path in PATHS[1:]:
        needed = made_from(path, {}, {})
        assert max(STAGES.index(stage_of(other)) for other in needed) < STAGES.index(stage_of(path))
        while needed[0] != PATHS[0]:
            needed = made_from(needed[0], {}, {})
    assert made_from(PATHS[0], {}, {}) == []
    assert made_from(PATHS[-1], {}, {}) == ["datasets/ct.npz", "samples/ct/gen/seed1.npz"]


def test_an_arm_that_mixes_on_the_fly_is_made_from_the_dataset_alone():
    assert made_from("utility/ct/steps/real+mixup@1/real.json", {}, {}) == ["datasets/ct.npz"]


def test_samples_are_made_from_the_model_that_their_augmenter_names():
    for name, trained in (("guided", "gen"), ("gen", "gen")):
        model = f"models/ct/{trained}/seed1"
        assert made_from(f"samples/ct/{name}/seed1.npz", {"guided": "gen"}, {}) == [model]


@pytest.mark.parametrize("first_stages", [{"gen": "ae", "guided": "ae"}, {"guided": "ae"}])
def test_a_model_is_made_from_its_first_stage_also_where_only_another_name_for_it_is_listed(first_stages):
    models = {"guided": "gen"}
    first = "models/ct/ae/seed2"
    assert made_from("models/ct/gen/seed2", models, first_stages) == ["datasets/ct.npz", first]
    assert made_from(first, models, first_stages) == ["datasets/ct.npz"]
