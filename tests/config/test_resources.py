"""What jobs ask for, against what was measured of them (benchmarks/memory.py): neither too little nor far too much."""

from pathlib import Path

import pytest
import yaml

from medbench.config import resources as memory
from medbench.config.load import load

# MB taken on the CPU with config.yaml's networks and batches
TRAINING = {
    28: {"vae": 2182, "medienet_l2": 1528, "ldm": 2300, "cddpm": 3565, "annotated_l2_label": 3382, "classic": 670},
    64: {"vae": 7915, "medienet_l2": 2217, "ldm": 3965, "cddpm": 14303, "cvae": 2460, "cgan": 2311},
}
SAMPLING = {
    28: {"vae": 1033, "medienet_l2": 1148, "ldm": 1270, "cddpm": 1863, "annotated_l2_label": 1068, "classic": 689},
    64: {"vae": 1674, "medienet_l2": 1939, "ldm": 2121, "cddpm": 5005, "cvae": 1101, "cgan": 1119},
}
UTILITY = {28: 1736, 64: 2242}


def study(**dataset):
    raw = yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8"))
    raw["datasets"]["images"] = {"kind": "phantom", "subject": "ct", "image_size": 64} | dataset
    raw["studies"]["field2026"]["datasets"] = ["images"]
    for section in raw["augmenters"].values():
        section |= {"fidelity_checks": 0} if "fidelity_checks" in section else {}
    return raw | {"run": ["field2026"], "device": "cpu"}


@pytest.mark.parametrize(("asks", "measured"), [(memory.train, TRAINING), (memory.sample, SAMPLING)])
@pytest.mark.parametrize("side", [28, 64])
def test_a_job_asks_for_a_little_more_than_it_takes(asks, measured, side):
    """Least for the heavy ones, of which a machine holds few."""
    config = load(study(image_size=side))
    for augmenter, taken in measured[side].items():
        assert 1.15 < asks(config, "images", augmenter) / taken < (1.35 if taken > 3000 else 1.6), augmenter


@pytest.mark.parametrize("side", [28, 64])
def test_classifiers_ask_for_a_little_more_than_they_take(side):
    raw = study() | {"utility": study()["utility"] | {"image_size": side}}
    assert 1.15 < memory.utility(load(raw), "images") / UTILITY[side] < 1.35


def test_checks_of_fidelity_ask_for_inception_too():
    """Measured on a GPU: 3,131 MB of host memory with them, up to 2,297 without."""
    raw = study() | {"device": "cuda"}
    without = memory.train(load(raw), "images", "medienet_l2")
    raw["augmenters"]["medienet_l2"]["fidelity_checks"] = 2
    with_checks = memory.train(load(raw), "images", "medienet_l2")
    assert 1.15 < without / 2297 < 1.35
    assert 1.15 < with_checks / 3131 < 1.35


def test_processes_that_train_together_ask_for_the_memory_of_all():
    raw = study() | {"device": "cuda"}
    alone = memory.train(load(raw), "images", "cddpm")
    raw["augmenters"]["cddpm"]["gpu"] = 2
    assert memory.train(load(raw), "images", "cddpm") == 2 * alone


def test_large_sets_ask_for_the_memory_of_their_pixels():
    raw = study()
    for size in (28, 224):
        raw["datasets"][f"path{size}"] = {"kind": "medmnist", "name": "pathmnist", "size": size}
    config = load(raw)
    megabytes = (89996 + 10004 + 7180) * 224 * 224 * 3 / 1e6
    assert memory.dataset(config, "path28") < megabytes / 10
    assert 2 * megabytes < memory.dataset(config, "path224") < 3 * megabytes
    assert memory.utility(config, "path224") > megabytes
