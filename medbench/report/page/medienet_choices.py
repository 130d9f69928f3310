"""What the abstract of Yuan et al. 2025 leaves open about MedIENet itself, and what this run's MedIENet is."""

from collections.abc import Iterable, Mapping

from medbench.augmenters.decoder_sections import Autoencoder
from medbench.augmenters.diffusion_sections import MedIENet
from medbench.augmenters.sections import AugmenterSection
from medbench.config.study import Config
from medbench.report.ablation import difference_from
from medbench.report.page.choices import NOT_IN_ABSTRACT, Cards, Choice, Choices, datasets_of, each, titles
from medbench.report.page.generator_choices import augmenters_of, choice, of_type, trained_of
from medbench.report.page.spelled_settings import (
    class_text,
    learns,
    loss_text,
    network_text,
    optimiser_text,
    over_fitting_text,
    prediction_text,
    sampler_text,
)
from medbench.report.published import YUAN

FIRST = "A latent diffusion model, without the kind of its first stage and its sizes."
TONGUE = "One of the paper's three, not identified."
MODULE = "A multi-attention module in the encoder, without what it holds."
PARTS = {
    "channel_attention": "channel attention (squeeze and excitation)",
    "spatial_attention": "spatial attention (pooled maps, 7×7 convolution)",
    "self_attention": "self-attention",
    "cross_attention": "cross-attention to class tokens",
}


def medienet_choices(config: Config, cards: Cards) -> Choices | None:
    """None for a run without MedIENet."""
    models = of_type(trained_of(config), MedIENet)
    if not models:
        return None
    rows = [
        *_first_stage(config, models, cards),
        *_denoiser(models),
        *_diffusion(config, models),
        *_study(config),
        Choice("Tongue dataset", TONGUE, f"here: {titles(datasets_of(config, 'augmenters'), cards)}"),
    ]
    return Choices("MedIENet", YUAN, [row for row in rows if row])


def _first_stage(config: Config, models: Mapping[str, MedIENet], cards: Cards) -> list[Choice | None]:
    named = {section.first_stage: config.augmenters[section.first_stage] for section in models.values()}
    firsts = of_type(named, Autoencoder)
    learning = {name: section for name, section in firsts.items() if learns(section)}
    return [
        choice("First stage", FIRST, firsts, lambda section: f"diffusers' AutoencoderKL: {network_text(section)}"),
        choice("Training of the first stage", NOT_IN_ABSTRACT, learning, _autoencoding),
        Choice("Scale of the latents", NOT_IN_ABSTRACT, "1/std of the training latents, undone before decoding"),
        choice("Size of the latents", NOT_IN_ABSTRACT, models, lambda section: _latents(config, section, cards)),
    ]


def _latents(config: Config, section: MedIENet, cards: Cards) -> str:
    """By dataset, with what is padded until the halvings of first stage and denoiser divide the sides."""
    first = config.augmenters[section.first_stage]
    if not isinstance(first, Autoencoder):  # another package's first stage
        return "as its first stage makes them"
    scale = 2 ** (len(first.widths) - 1)
    multiple = scale * 2 ** (len(section.widths) - 1)

    def said(dataset: str) -> str:
        if dataset not in cards:
            return "not known, its card is missing"
        height, width = (-(-side // multiple) * multiple // scale for side in cards[dataset].image_size)
        return f"{height}×{width}×{first.latent_channels}"

    return each(datasets_of(config, "augmenters"), said)


def _autoencoding(section: Autoencoder) -> str:
    adversary = (
        f"and from {100 * section.discriminator_from:g} % of the steps a patch discriminator, weight"
        f" {section.discriminator_weight:g}"
        if section.discriminator_weight
        else "no discriminator"
    )
    return (
        f"L1 + KL (weight {section.kl_weight:g}), {adversary}; {section.steps:,} steps, batch {section.batch_size},"
        f" {optimiser_text(section)}"
    )


def _denoiser(models: Mapping[str, MedIENet]) -> list[Choice | None]:
    return [
        choice("Denoiser", NOT_IN_ABSTRACT, models, network_text),
        choice("Multi-attention module", MODULE, models, _module),
        choice(
            "Position encoding",
            "RoPE in the self-attention, without its dimensions (one or two).",
            models,
            lambda section: "2-D axial, on queries and keys" if section.rope else "none",
        ),
        choice(
            "Class information",
            "By cross-attention, and no more.",
            models,
            lambda section: f"{class_text(section)}{_context(section)}",
        ),
        choice("Against over-fitting", NOT_IN_ABSTRACT, models, over_fitting_text),
    ]


def _module(section: MedIENet) -> str:
    if not section.multi_attention:
        return "left out"
    held = [text for key, text in PARTS.items() if getattr(section, key)]
    return f"at every encoder stage: {', then '.join(held)}" if held else "empty"


def _context(section: MedIENet) -> str:
    return f", {section.context_dim} channels a token" if section.cross_attention else ""


def _diffusion(config: Config, models: Mapping[str, MedIENet]) -> list[Choice | None]:
    sampled = of_type(augmenters_of(config), MedIENet)
    return [
        choice(
            "Noise schedule", NOT_IN_ABSTRACT, models, lambda section: f"{section.schedule}, T = {section.timesteps:,}"
        ),
        choice("The network predicts", NOT_IN_ABSTRACT, models, prediction_text),
        choice("Loss", NOT_IN_ABSTRACT, models, loss_text),
        choice("Training", NOT_IN_ABSTRACT, models, _training),
        choice("Sampler and guidance", NOT_IN_ABSTRACT, sampled, sampler_text),
    ]


def _training(section: MedIENet) -> str:
    return f"{section.steps:,} steps, batch {section.batch_size}, {optimiser_text(section)}"


def _study(config: Config) -> list[Choice | None]:
    others = [f"{name} ({section.kind})" for name, section in augmenters_of(config).items() if not _is_of_it(section)]
    dimensions = ", ".join(map(str, config.fidelity.dimensions))
    return [
        Choice("Baselines", "Existing methods, not named.", ", ".join(others) or "none"),
        Choice(
            "Metrics",
            "Fidelity and diversity, metrics not named; AUROC of ResNet50.",
            f"FID at {dimensions} feature dimensions, with its floor; scores of the classifiers below",
        ),
        Choice("Ablation", NOT_IN_ABSTRACT, _ablation(config)),
        Choice("Code", NOT_IN_ABSTRACT, "medbench's own, from what the abstract says and the choices of this list"),
    ]


def _is_of_it(section: AugmenterSection) -> bool:
    return isinstance(section, MedIENet) or section.role == "first_stage"


def _ablation(config: Config) -> str:
    studies = {name: study for name, study in config.reached.items() if study.ablation}
    if not studies:
        return "none in this run"
    return each(studies, lambda name: _variants(config, studies[name].augmenters, str(studies[name].ablation)))


def _variants(config: Config, augmenters: Iterable[str], whole: str) -> str:
    """Those of its kind that are trained for themselves, and what each lacks."""
    sections = {name: config.augmenters[name] for name in (whole, *augmenters)}
    own = {name: section for name, section in sections.items() if section.kind == sections[whole].kind}
    base = own.pop(whole).model_dump(mode="json")
    lacking = [
        f"{name} ({difference_from(section.model_dump(mode='json'), base) or 'the same'})"
        for name, section in own.items()
        if section.model is None
    ]
    return f"{whole} against {', '.join(lacking) or 'nothing'}"
