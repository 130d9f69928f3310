"""The list of choices for every kind of augmenter: each row says what its kinds have, and nothing of the others."""

from typing import Literal

import pytest

from medbench.augmenters import built_in
from medbench.augmenters.sections import AugmenterSection
from medbench.config.study import Config
from medbench.report.page.classifier_choices import classifier_choices
from medbench.report.page.generator_choices import generator_choices
from medbench.report.page.medienet_choices import medienet_choices
from medbench.report.page.regenerate import needed_files
from medbench.report.page.spelled_settings import KINDS
from tests.helpers.builders import card_of

WEIGHTS = {"hub": "stabilityai/sd-vae-ft-mse", "sha256": "ab" * 32}
AUGMENTERS = {
    "ae": {"kind": "autoencoder", "widths": [16, 32, 32], "steps": 900, "discriminator_weight": 0},
    "published": {"kind": "autoencoder", "weights": WEIGHTS},
    "med": {"kind": "medienet", "first_stage": "ae", "widths": [32, 64], "select": "kid", "fidelity_checks": 4},
    "no_rope": {"kind": "medienet", "first_stage": "ae", "widths": [32, 64], "rope": False, "loss": "huber"},
    "no_cross": {"kind": "medienet", "first_stage": "published", "cross_attention": False, "spatial_attention": False},
    "med_g1": {"kind": "medienet", "model": "med", "guidance_scale": 1, "sampler": "dpmsolver++", "sample_steps": 20},
    "ldm": {"kind": "ldm", "first_stage": "ae"},
    "cddpm": {"kind": "cddpm", "prediction": "v", "schedule": "cosine"},
    "annotated": {"kind": "annotated_ddpm", "conditioning": "label", "width": 16},
    "cvae": {"kind": "cvae", "steps": 77},
    "cgan": {"kind": "cgan"},
    "classic": {"kind": "classic", "rotation": 10},
    "copy": {"kind": "copy"},
    "ready": {"kind": "images", "path": "made/{dataset}.npz"},
    "mixup": {"kind": "mixup", "alpha": 0.4},
}


class Foreign(AugmenterSection):
    """Of another package: it has none of our settings."""

    kind: Literal["foreign"] = "foreign"


def config(*augmenters: str, arms=(), defined=None, ablation=None) -> Config:
    study = {"datasets": ["tongue"], "augmenters": list(augmenters), "generator_seeds": [0], "arms": list(arms)}
    return Config.model_validate(
        {
            "name": "demo",
            "datasets": {"tongue": {"kind": "npz", "path": "tongue.npz"}},
            "augmenters": AUGMENTERS | (defined or {}),
            "fidelity": {"weights": {"path": "w.pth", "sha256": "0" * 64}, "n_generated": 40, "dimensions": [64, 192]},
            "studies": {"s": study | {"ablation": ablation}},
            "run": ["s"],
        }
    )


CARDS = {
    "tongue": card_of(
        "tongue", ["a", "b"], title="Tongue coatings", channels=3, image_size=(60, 64), horizontal_flip=True
    )
}
ALL = [name for name in AUGMENTERS if name not in ("ae", "published")]


def here(choices) -> dict[str, str]:
    assert len({row.topic for row in choices.rows}) == len(choices.rows)
    return {row.topic: row.here for row in choices.rows}


def test_every_kind_of_ours_is_described():
    assert set(KINDS) == set(built_in())


def test_rows_speak_of_those_that_have_such_a_setting():
    said = here(generator_choices(config(*ALL), CARDS))
    assert "med, no_rope, med_g1: MedIENet as declared below, DDPM on latents of ae" in said["Generator"]
    assert "ready: ready images of another tool" in said["Generator"]
    assert "ae, published: diffusers' AutoencoderKL" in said["Generator"]
    assert "mixup" not in said["Generator"]
    assert said["Width and multipliers"] == "16, (1, 2, 4)"  # of the annotated model alone
    assert "no_cross: added to the time embedding, dropped 10 % of the time" in said["Class labels"]
    assert "classic, copy: those of the real images" in said["Class labels"]
    assert said["The network predicts"].endswith("cddpm: v")
    assert said["Classic augmentation"].startswith("rotations of up to 10°")
    assert "cvae: 77 optimiser steps" in said["Length of training"]
    assert "published" not in said["Length of training"]  # it is used as it is
    for topic in ("Loss", "Noise schedule", "Sampler", "Diffusion steps T"):
        assert not any(name in said[topic] for name in ("cvae", "cgan", "classic", "copy", "ready", "ae:"))


def test_what_samples_a_model_adds_to_sampling_only():
    said = here(generator_choices(config("med", "med_g1"), CARDS))
    assert said["Sampler"] == (
        "med: ddim, 50 steps, x0 not clipped to [−1, 1], guidance scale 2;"
        " med_g1: dpmsolver++, 20 steps, x0 not clipped to [−1, 1], no guidance"
    )
    assert said["Loss"] == "L2"
    alone = here(generator_choices(config("med_g1"), CARDS))
    assert alone["Length of training"] == "med: 2,800 optimiser steps; ae: 900 optimiser steps"


def test_augmenters_without_a_network_have_no_rows_of_training():
    said = here(generator_choices(config("classic", "copy"), CARDS))
    assert set(said) & {"Loss", "Length of training", "Sampler", "Training curves", "Width and multipliers"} == set()
    assert said["Mirrored training images"] == "as each dataset says: mirrored"
    assert generator_choices(config("mixup"), CARDS) is None


def test_another_packages_kind_is_named():
    said = here(generator_choices(config("own", "med", defined={"own": Foreign()}), CARDS))
    assert said["Generator"].startswith("own: kind foreign of another package")
    assert "own: as given" in said["Class labels"]


def test_medienet_is_told_as_the_config_declares_it():
    said = here(medienet_choices(config("med", "no_rope", "no_cross", "med_g1", "ldm", "copy", ablation="med"), CARDS))
    assert said["First stage"] == (
        "ae: diffusers' AutoencoderKL: widths 16, 32, 32, residual blocks a stage: 2, 4 latent channels, sides 4 times"
        " smaller; published: diffusers' AutoencoderKL: widths 32, 64, 128, residual blocks a stage: 2, 4 latent"
        " channels, sides 4 times smaller, published weights abababababab…"
    )
    assert said["Training of the first stage"].startswith("L1 + KL (weight 1e-06), no discriminator; 900 steps")
    # 60 is padded to 64, which two halvings of the first stage and the denoiser's one or two divide.
    assert said["Size of the latents"] == "16×16×4"
    assert said["Position encoding"] == "med, no_cross: 2-D axial, on queries and keys; no_rope: none"
    module = said["Multi-attention module"]
    assert module.startswith("med, no_rope: at every encoder stage: channel attention (squeeze and excitation), then")
    assert module.endswith(
        "no_cross: at every encoder stage: channel attention (squeeze and excitation), then self-attention"
    )
    assert said["Class information"].startswith(
        "med, no_rope: cross-attention to 4 learned tokens a class, dropped 10 %"
    )
    assert "of 4 checks the one with the smallest KID on val at 768 dimensions" in said["Against over-fitting"]
    assert said["Loss"] == "med, no_cross: L2; no_rope: Huber, β = 1"
    assert "med_g1: dpmsolver++, 20 steps" in said["Sampler and guidance"]
    assert said["Baselines"] == "ldm (ldm), copy (copy)"
    assert said["Ablation"].startswith("med against no_rope (loss huber, ")
    assert "without RoPE), no_cross (" in said["Ablation"]
    assert not set(said["Ablation"].split()) & {"med_g1", "ldm", "copy"}  # no parts of it
    assert said["Tongue dataset"] == "here: tongue (Tongue coatings)"


def test_the_whole_module_can_be_left_out():
    bare = {"bare": {"kind": "medienet", "first_stage": "ae", "multi_attention": False}}
    assert here(medienet_choices(config("bare", defined=bare), CARDS))["Multi-attention module"] == "left out"


def test_without_medienet_there_is_no_such_list_and_its_absence_is_said():
    others = config("ldm", "mixup", arms=["real", "real+ldm@1", "real+mixup@1"])
    assert medienet_choices(others, CARDS) is None
    said = here(classifier_choices(others, CARDS))
    assert said["Generator"] == "ldm (ldm); mixup (mixup, α = 0.4); MedIENet itself is not in this run"
    with_it = config("ldm", "med", arms=["real", "real+ldm@1"])  # generated, though in no arm
    assert here(classifier_choices(with_it, CARDS))["Generator"] == "ldm (ldm)"


def test_a_missing_card_leaves_the_size_of_latents_open():
    assert "its card is missing" in here(medienet_choices(config("med"), {}))["Size of the latents"]


@pytest.mark.parametrize(
    ("augmenter", "what", "where", "sha256"),
    [
        ("ready", "images of ready", "made/{dataset}.npz", None),
        (
            "no_cross",
            "weights of published",
            "https://huggingface.co/stabilityai/sd-vae-ft-mse/resolve/main/diffusion_pytorch_model.safetensors",
            "ab" * 32,
        ),
    ],
)
def test_files_of_augmenters_are_listed(augmenter, what, where, sha256):
    files = {file.what: (file.where, file.sha256) for file in needed_files(config(augmenter), CARDS)}
    assert files[what] == (where, sha256)
