"""What a config may say of an augmenter, and what is said of it where it may not."""

import pytest

from medbench.augmenters import built_in, section_class
from medbench.augmenters.sections import TrainedSection
from medbench.augmenters.stage_sections import TrainStage
from medbench.config import plan
from medbench.config.load import load, parse_text
from medbench.core.errors import UserError


def raw_config(**augmenters) -> dict:
    return {
        "name": "test",
        "datasets": {"ct": {"kind": "phantom", "subject": "ct"}},
        "augmenters": {"ddpm": {"kind": "annotated_ddpm"}, **augmenters},
        "fidelity": {"weights": "random", "n_generated": 10},
        "studies": {"s": {"datasets": ["ct"], "augmenters": ["ddpm"], "generator_seeds": [0]}},
        "run": ["s"],
    }


LATENT = {"kind": "ldm", "first_stage": "ae"}
HUB = {"hub": "stabilityai/sd-vae-ft-mse", "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"kind": "cddpm", "steps": -1}, r"\.steps: -1: .*greater than 0"),
        ({"kind": "cddpm", "widths": [8, 12]}, r"\.widths\.1: 12: .*multiple of 8"),
        ({"kind": "cddpm", "width": 8}, r": unknown key 'width' \(allowed: attention_stages, .*widths\)"),
        ({"kind": "cddpm", "sampler": "euler"}, r"\.sampler: 'euler' is not allowed \(allowed: 'ancestral', 'ddim' or"),
        (
            {"kind": "cddpm", "sampler": "ancestral", "sample_steps": 50},
            r": sample_steps 50: the ancestral sampler takes all 1000 timesteps; give sampler: ddim or dpmsolver\+\+$",
        ),
        (
            {"kind": "cddpm", "timesteps": 20, "sample_steps": 21},
            r": sample_steps 21: more than there are timesteps \(20",
        ),
        (
            {"kind": "cddpm", "label_dropout": 0, "guidance_scale": 2},
            r": guidance_scale 2 needs the null class, which label_dropout 0 never trains; give label_dropout \(0\.1",
        ),
        ({"kind": "cddpm", "label_dropout": 0, "guidance_scale": 0}, r": guidance_scale 0 needs the null class"),
        (LATENT | {"schedule": "cosine", "prediction": "epsilon"}, r": schedule cosine with prediction epsilon: .* v,"),
        (
            {"kind": "cddpm", "sample_steps": 60},
            r": sample_steps 60: ddim .* a divisor of timesteps 1000, such as 50; or",
        ),
        (LATENT | {"clip_sample": True}, r": clip_sample: latents have no bounds to clip to"),
        (
            LATENT | {"widths": [8, 16], "heads": 32},
            r": widths \[8, 16\] with heads 32: every width must be a multiple",
        ),
        ({"kind": "cddpm", "select": "kid"}, r": select kid needs fidelity_checks: 1 to 8$"),
        ({"kind": "cddpm", "fidelity_checks": 9}, r"\.fidelity_checks: 9: .*less than or equal to 8"),
        ({"kind": "cddpm", "fidelity_checks": 5, "steps": 4}, r": fidelity_checks 5: more than there are steps \(4\)$"),
        ({"kind": "cddpm", "check_steps": 26}, r"\.check_steps: 26: .*less than or equal to 25"),
        ({"kind": "cddpm", "check_images": 29}, r"\.check_images: 29: .*greater than or equal to 30"),
        ({"kind": "cddpm", "check_dimension": 64}, r"\.check_dimension: 64 is not allowed \(allowed: 768 or 2048\)"),
        ({"kind": "ldm"}, r"\.first_stage: is required"),
        (LATENT, r"\.first_stage: 'ae' is not defined under augmenters \(defined: ddpm, mine\)"),
        ({**LATENT, "first_stage": "ddpm"}, r"\.first_stage: ddpm is no autoencoder \(annotated_ddpm\)"),
        (
            {**LATENT, "kind": "medienet", "widths": [16, 24]},
            r": widths \[16, 24\] with heads 4: every width must be a multiple of 4 × heads = 16$",
        ),
        ({"kind": "autoencoder", "weights": {**HUB, "hub": "vae"}}, r"\.weights\.hub: 'vae': .*match pattern"),
        ({"kind": "autoencoder", "weights": {**HUB, "path": "x"}}, r"\.weights: give one of path, url and hub$"),
        ({"kind": "autoencoder", "weights": {"hub": HUB["hub"]}}, r"\.weights\.sha256: is required"),
        ({"kind": "images"}, r"\.path: is required"),
        ({"model": "nope"}, r"\.model: 'nope' is not defined under augmenters$"),
        ({"model": ["ddpm"]}, r"\.model: \['ddpm'\] is not defined under augmenters$"),
        ({"model": "mine"}, r"\.model: mine samples the model of mine; name that one$"),
        (
            {"model": "ddpm", "loss": "l1"},
            r"\.loss: l1 differs from ddpm's l2, which training has fixed; only sampling can differ \(clip_sample,"
            r" sample_batch_size, sample_steps, sampler\)$",
        ),
        ({"model": "ddpm", "sampler": "ddim", "sample_steps": 301}, r": sample_steps 301: more than .* \(300\)$"),
        ({"model": "ddpm", "lose": "l1"}, r": unknown key 'lose' \(allowed: .*loss"),
        ({"model": "ddpm", "kind": "cddpm"}, r"\.\w+: .* differs from ddpm's"),
    ],
)
def test_what_is_wrong_with_an_augmenter_is_said_in_one_line(section, message):
    with pytest.raises(UserError, match=rf"^config: augmenters\.mine{message}") as error:
        load(raw_config(mine=section))
    assert "\n" not in str(error.value)


def test_an_augmenter_with_a_model_has_its_settings_but_for_those_of_sampling():
    raw = raw_config(fast={"model": "ddpm", "sampler": "ddim", "sample_steps": 5})
    raw["augmenters"]["ddpm"] |= {"loss": "l1", "timesteps": 100}
    config = load(raw)
    fast, model = config.augmenters["fast"], config.augmenters["ddpm"]
    assert (fast.kind, fast.loss, fast.timesteps, fast.sample_steps) == ("annotated_ddpm", "l1", 100, 5)
    assert (model.model, model.sample_steps) == (None, 100)
    assert load(config.model_dump(mode="json")) == config


def test_a_model_is_no_chain():
    raw = raw_config(fast={"model": "ddpm"})
    raw["augmenters"]["faster"] = {"model": "fast"}
    with pytest.raises(UserError, match=r"^config: augmenters\.faster\.model: fast samples the model of ddpm; name"):
        load(raw)


def test_a_section_with_the_settings_of_its_model_may_repeat_them():
    raw = raw_config(same={"model": "ddpm", "kind": "annotated_ddpm", "timesteps": 300})
    assert load(raw).augmenters["same"].timesteps == 300


def test_there_is_no_guidance_where_labels_are_never_dropped():
    raw = raw_config(mine={"kind": "cddpm", "label_dropout": 0})
    assert load(raw).augmenters["mine"].guidance_scale == 1
    assert load(raw_config(mine={"kind": "cddpm"})).augmenters["mine"].guidance_scale == 2


@pytest.mark.parametrize(
    "section",
    [
        {"kind": "cddpm", "label_dropout": 0, "guidance_scale": 1},
        {"kind": "cddpm", "guidance_scale": 0, "sampler": "ancestral", "sample_steps": 1000},
        {"kind": "cddpm", "timesteps": 20, "sample_steps": 20},
        {"kind": "autoencoder", "weights": HUB},
        {"kind": "mixup"},
    ],
)
def test_what_the_train_stage_gets_can_be_read_again(section):
    raw = raw_config(mine=section)
    raw["augmenters"]["ae"] = {"kind": "autoencoder"}
    stage = plan.train_section(load(raw), "mine")
    assert parse_text(TrainStage, stage.canonical(), "--config").canonical() == stage.canonical()


def test_a_hub_name_is_an_address():
    weights = load(raw_config(mine={"kind": "autoencoder", "weights": HUB})).augmenters["mine"].weights
    assert weights.address == (
        "https://huggingface.co/stabilityai/sd-vae-ft-mse/resolve/main/diffusion_pytorch_model.safetensors"
    )


def test_ready_images_stand_in_a_study_with_one_generator_seed():
    raw = raw_config(ready={"kind": "images", "path": "made.npz"})
    raw["studies"]["s"] |= {"augmenters": ["ready"], "generator_seeds": [0, 1]}
    with pytest.raises(UserError, match=r"^config: studies\.s\.generator_seeds: the images of ready are the same for"):
        load(raw)
    raw["studies"]["s"]["generator_seeds"] = [0]
    load(raw)


def test_a_model_without_settings_is_said_so():
    raw = raw_config(mine=None, fast={"model": "mine"})
    with pytest.raises(UserError, match=r"^config: augmenters\.fast\.model: mine has no settings"):
        load(raw)


@pytest.mark.parametrize("kind", built_in())
def test_every_kind_says_what_it_is(kind):
    section = section_class(kind)
    assert section.label
    learns = issubclass(section, TrainedSection)
    assert (section.space != "none") == learns
    assert bool(section.citation) == (learns or section.role == "on_the_fly")
    assert ("training_memory" in vars(section)) == learns  # measured of every network
    assert section.holds_real_images == (kind in ("autoencoder", "classic", "copy", "images"))
