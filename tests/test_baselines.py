"""Every baseline of ours gets a fair shot, in config.yaml and in every preset."""

from pathlib import Path

import pytest

from medbench.augmenters.diffusion_sections import AnnotatedDDPM
from medbench.config.load import as_written, read_config
from medbench.config.plan import warnings
from medbench.config.study import Config

ROOT = Path(__file__).parents[1]
PRESETS = sorted((ROOT / "workflow/presets").glob("*.yaml"))


def config_of(*files: Path, **changed) -> Config:
    return as_written(read_config([ROOT / "config.yaml", *files], changed))


@pytest.mark.parametrize("files", [(), *((preset,) for preset in PRESETS)], ids=lambda files: [f.stem for f in files])
def test_the_annotated_model_with_labels_reaches_noise(files):
    config = config_of(*files)
    labelled = [
        section for section in config.augmenters.values() if isinstance(section, AnnotatedDDPM) and section.labelled
    ]
    settings = {(section.timesteps, section.sampler, section.sample_steps, section.clip_sample) for section in labelled}
    assert settings == {(1000, "ddim", 50, True)}
    assert warnings(config) == []  # of cao2025, whose schedule ends early as in the walk-through, the table warns


def test_a_schedule_that_ends_before_noise_is_warned_of_where_a_study_in_run_uses_it():
    early = {"timesteps": 300, "sampler": "ancestral", "sample_steps": None}
    (demo,) = [preset for preset in PRESETS if preset.stem == "demo"]
    (line,) = warnings(config_of(demo, augmenters={"annotated_huber_label": early}))
    assert line.startswith("augmenters.annotated_huber_label: schedule linear with 300 timesteps ends with 0.22 of")
    assert line.endswith("; give timesteps: 1000")
    unused = warnings(config_of(demo, augmenters={"annotated_huber_label": early}, run=["guidance"]))
    assert unused == []
