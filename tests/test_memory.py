"""What jobs ask for, against what was measured of them (benchmarks/memory.py): neither too little nor far too much."""

from pathlib import Path

import pytest
import yaml

from medbench import memory
from medbench.config import load


def study(**dataset):
    raw = yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8"))
    raw["datasets"]["images"] = {"kind": "phantom", "subject": "ct", "image_size": 64} | dataset
    raw["studies"]["medienet2025"]["datasets"] = ["images"]
    return raw | {"run": ["medienet2025"], "device": "cpu"}


# MB of config.yaml's networks and batches, on the CPU
@pytest.mark.parametrize(
    ("augmenter", "side", "measured"),
    [
        ("vae", 64, 5743),
        ("vae", 28, 2285),
        ("medienet_l2", 64, 2036),
        ("medienet_l2", 28, 1550),
        ("ldm", 64, 3855),
        ("cvae", 64, 2069),
        ("cgan", 64, 1791),
        ("cddpm", 64, 10559),
    ],
)
def test_training_asks_for_a_little_more_than_it_takes(augmenter, side, measured):
    asked = memory.train(load(study(image_size=side)), "images", augmenter)
    assert 1.1 * measured < asked < 1.4 * measured


def test_classifiers_ask_for_a_little_more_than_they_take():
    raw = study() | {"utility": study()["utility"] | {"image_size": 64}}
    assert 1.1 * 2293 < memory.utility(load(raw), "images") < 1.4 * 2293


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
