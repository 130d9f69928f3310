"""Files of a run: the log of each is the one that its rule writes, and each says what it was made with."""

import os
import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from medbench.config.stage_code import MODULES
from medbench.core.errors import UserError
from medbench.run.contents import made_with
from medbench.run.files import write_text
from medbench.run.layout import STAGES, log_of, made_from, stage_of
from medbench.run.sealed_files import write_json, write_npz
from medbench.system.folder_lock import LOCK, claim

PATHS = (
    "datasets/ct.json",
    "models/ct/gen/seed0/medbench.json",
    "samples/ct/gen/seed1.npz",
    "features/ct/train.safetensors",
    "features/ct/gen/seed0.safetensors",
    "fidelity/ct/gen/seed0.json",
    "utility/ct/steps/real/real.json",
    "utility/ct/epochs/real+gen@0.5/seed1.json",
)


def test_every_stage_has_a_module():
    assert tuple(MODULES) == STAGES


def test_logs_are_where_the_rules_write_them(root):
    """The log of the rule that has the file as an output, with the same wildcards."""
    rules = "".join(path.read_text() for path in sorted((root / "workflow/rules").glob("*.smk")))
    logs = {}
    for outputs, log in re.findall(r'output:(.*?)log:\s+"results/\{run\}/(.*?)"', rules, re.DOTALL):
        for output in re.findall(r'"results/\{run\}/(.*?)"', outputs):
            logs[re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", output)] = log
    for path in PATHS:
        output = path.removesuffix("/medbench.json")  # a model's rule writes the folder
        (of_rule,) = [
            log.format(**match.groupdict()) for pattern, log in logs.items() if (match := re.fullmatch(pattern, output))
        ]
        assert log_of(path) == of_rule


def test_a_file_is_made_from_earlier_stages_and_in_the_end_from_the_dataset():
    for path in PATHS[1:]:
        needed = made_from(path, {}, {})
        assert max(STAGES.index(stage_of(other)) for other in needed) < STAGES.index(stage_of(path))
        while needed[0] != PATHS[0]:
            needed = made_from(needed[0], {}, {})
    assert made_from(PATHS[0], {}, {}) == []
    assert made_from(PATHS[-1], {}, {}) == ["datasets/ct.json", "samples/ct/gen/seed1.npz"]


def test_an_arm_that_mixes_on_the_fly_is_made_from_the_dataset_alone():
    assert made_from("utility/ct/steps/real+mixup@1/real.json", {}, {}) == ["datasets/ct.json"]


def test_samples_are_made_from_the_model_that_their_augmenter_names():
    for name, trained in (("guided", "gen"), ("gen", "gen")):
        model = f"models/ct/{trained}/seed1/medbench.json"
        assert made_from(f"samples/ct/{name}/seed1.npz", {"guided": "gen"}, {}) == [model]


@pytest.mark.parametrize("first_stages", [{"gen": "ae", "guided": "ae"}, {"guided": "ae"}])
def test_a_model_is_made_from_its_first_stage_also_where_only_another_name_for_it_is_listed(first_stages):
    models = {"guided": "gen"}
    first = "models/ct/ae/seed2/medbench.json"
    assert made_from("models/ct/gen/seed2/medbench.json", models, first_stages) == ["datasets/ct.json", first]
    assert made_from(first, models, first_stages) == ["datasets/ct.json"]


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors", "a.json"])
def test_a_file_may_state_no_config_and_a_damaged_one_is_named(tmp_path, name):
    os.close(claim(tmp_path / LOCK))  # as Snakemake leaves it in a run's folder
    write_npz(tmp_path / "a.npz", {"images": np.zeros(2)})
    save_file({"64": np.zeros(2, np.float32)}, tmp_path / "a.safetensors")
    write_json(tmp_path / "a.json", {})
    assert made_with(tmp_path / name) is None
    write_text(tmp_path / name, "{ damaged")
    with pytest.raises(UserError, match=rf"{name}: is damaged .*; remove it: rm -r .*{name}"):
        made_with(tmp_path / name)
