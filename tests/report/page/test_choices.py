"""The list of choices says what this run's config says, for the studies that it runs."""

import copy

from medbench.config.study import Config
from medbench.data.dataset import Card
from medbench.report.page.classifier_choices import classifier_choices
from medbench.report.page.generator_choices import generator_choices
from tests.helpers.builders import card_of

RAW = {
    "name": "demo",
    "datasets": {
        "ct": {"kind": "phantom", "subject": "ct", "train": 50, "val": 12, "test": 25},
        "tongue": {"kind": "npz", "path": "tongue.npz", "train_fraction": 0.1},
        "unused": {"kind": "folder", "path": "unused", "image_size": 64},
    },
    "augmenters": {
        "l2": {"kind": "annotated_ddpm", "conditioning": "label", "steps": 170, "timesteps": 200, "width": 16},
        "huber": {"kind": "annotated_ddpm", "conditioning": "label", "loss": "huber", "huber_beta": 0.1, "steps": 1700},
        "unused": {"kind": "annotated_ddpm", "timesteps": 999},
    },
    "fidelity": {"weights": "random", "n_generated": 40, "dimensions": [64, 192]},
    "utility": {"image_size": 32, "steps": 100, "validations": 10, "learning_rate": 0.002, "classifier_seeds": [4, 5]},
    "studies": {
        "fid": {"datasets": ["ct", "tongue"], "augmenters": ["l2", "huber"], "generator_seeds": [0, 7]},
        "arms": {
            "datasets": ["ct"],
            "augmenters": ["l2"],
            "generator_seeds": [3],
            "arms": ["real", "real+oversample@0.5", "real+l2@2", "only-l2"],
            "budgets": ["steps", "epochs"],
        },
    },
    "run": ["fid", "arms"],
}


def config(**changed) -> Config:
    return Config.model_validate(copy.deepcopy(RAW) | changed)


def card(name: str, flip: bool) -> Card:
    return card_of(name, ["a", "b"], title=f"The {name}", image_size=(28, 28), horizontal_flip=flip)


CARDS = {"ct": card("ct", False), "tongue": card("tongue", True)}


def here(choices) -> dict[str, str]:
    return {row.topic: row.here for row in choices.rows}


def test_generator_choices_are_those_of_the_config():
    said = here(generator_choices(config(), CARDS))
    assert said["Datasets"] == "ct (The ct); tongue (The tongue)"
    assert said["Image size"] == "28×28, gray"
    assert "ct: 50 / 12 / 25 images a class" in said["Splits"]
    assert "0.1 of the training split kept" in said["Splits"]
    assert said["Loss"] == "l2: L2; huber: Huber, β = 0.1"
    assert said["Diffusion steps T"] == "l2: 200; huber: 1000"
    assert said["Length of training"] == "l2: 170 optimiser steps; huber: 1,700 optimiser steps"
    assert said["Width and multipliers"] == "l2: 16, (1, 2, 4); huber: the image size, (1, 2, 4)"
    assert said["Class labels"] == "by an embedding of the class label"
    assert said["Mirrored training images"] == "as each dataset says: ct: not mirrored; tongue: mirrored"
    assert said["Generator seeds"].startswith("fid: 0, 7; arms: 3;")
    assert said["Images generated"].startswith("40 ")
    assert said["Feature dimensions"] == "64, 192"
    assert "RANDOM" in said["FID extractor"]
    assert not any("999" in text or "unused" in text for text in said.values())


def test_classifier_choices_are_those_of_the_config():
    said = here(classifier_choices(config(), CARDS))
    assert said["Datasets"] == "ct (The ct)"
    assert said["Image size"] == "28×28, gray; resized to 32×32 for the classifier"
    assert said["Generator"] == "l2 (annotated_ddpm); MedIENet itself is not in this run"
    assert said["Generated images per real image"] == "2; and generated images alone"
    assert said["Control"] == "real images repeated, 0.5 extra per real image"
    assert said["Initial weights"] == "random (from scratch)"
    assert "AdamW at 0.002" in said["Optimiser"]
    assert "shifts of up to 6.25 % of the side" in said["Augmentation, on every arm"]
    assert said["Length of training"].startswith("100 optimiser steps")
    assert "and again with" in said["Length of training"]
    assert said["Checkpoint"].startswith("the best of 10 checks on val")
    assert said["Classifier seeds"] == "4, 5"


def test_published_sets_say_whose_splits_they_have_and_what_became_of_them():
    known = {
        "path": {"kind": "medmnist", "name": "pathmnist"},
        "ct": {"kind": "chest_ct", "image_size": 64, "protocol": "clean"},
        "xray": {"kind": "chest_xray", "image_size": 64, "val_fraction": 0.2, "train_fraction": 0.5},
        "tongue": {"kind": "tongue", "image_size": 64, "test_fraction": 0.3, "protocol": "resplit"},
        "own": {"kind": "npz", "path": "own.npz", "protocol": "clean"},
    }
    study = {"datasets": list(known), "arms": ["real"]}
    parts = here(classifier_choices(config(datasets=known, studies={"s": study}, run=["s"]), {}))["Splits"]
    assert parts.startswith("path: train, val and test as published; ct: train, val and test as published; then clean:")
    assert "xray: train and test as published; a published val joins train, and of that 0.2, whole patients" in parts
    assert "is held out as val; 0.5 of the training split kept, for generators and classifiers; tongue: as its" in parts
    assert "0.3 for test; then resplit: one copy of each distinct image" in parts
    assert "own: train, val and test as in the file; then clean: one copy" in parts


def test_other_settings_are_said_as_well():
    weights = {"url": "https://example.org/w.pth", "sha256": "ab" * 32}
    changed = config(
        fidelity=RAW["fidelity"] | {"weights": weights},
        utility=RAW["utility"] | {"init": "imagenet", "weights": weights},
        augmenters=RAW["augmenters"]
        | {"l2": {"kind": "annotated_ddpm", "conditioning": "class", "sampler": "ancestral", "horizontal_flip": True}},
        run=["arms"],
    )
    said = here(generator_choices(changed, CARDS))
    assert "weights abababababab…" in said["FID extractor"]
    assert said["Class labels"] == "one model a class, the steps shared out"
    assert said["Sampler"] == "ancestral, x0 clipped to [−1, 1]"
    assert said["Mirrored training images"] == "half of the images, by chance"
    assert here(classifier_choices(changed, CARDS))["Initial weights"] == "ImageNet, weights abababababab…"


def test_only_what_the_run_does_is_listed():
    assert classifier_choices(config(run=["fid"]), CARDS) is None
    only_real = {"real": {"datasets": ["ct"], "arms": ["real"]}}
    bare = config(studies=only_real, run=["real"])
    assert generator_choices(bare, CARDS) is None
    said = here(classifier_choices(bare, CARDS))
    assert (said["Generator"], said["Generated images per real image"], said["Control"]) == ("none", "none", "none")


def test_a_missing_card_is_a_gap():
    said = here(classifier_choices(config(), {}))
    assert said["Image size"].startswith("not known, its card is missing")
    assert said["Augmentation, on every arm"].endswith("by dataset: not known")
