"""Settings of an augmenter in words, by what its kind has."""

from medbench.augmenters.decoder_sections import Autoencoder
from medbench.augmenters.diffusion_sections import (
    CDDPM,
    AnnotatedDDPM,
    ConditionalDiffusion,
    DiffusionSection,
    LatentDiffusion,
    MedIENet,
)
from medbench.augmenters.image_sections import Classic
from medbench.augmenters.sections import AugmenterSection
from medbench.core.sections import TrainingSection
from medbench.report.results import LOSS_NAMES

KINDS = {
    "annotated_ddpm": "the walk-through's U-Net, DDPM on pixels",
    "cddpm": "diffusers' UNet2DModel, DDPM on pixels",
    "ldm": "diffusers' UNet2DConditionModel, DDPM on latents",
    "medienet": "MedIENet as declared below, DDPM on latents",
    "autoencoder": "diffusers' AutoencoderKL, a first stage; its images are reconstructions of real ones",
    "cvae": "conditional variational autoencoder",
    "cgan": "conditional GAN, hinge loss, spectral norm",
    "classic": "real images, mirrored where allowed, moved and brightened a little",
    "copy": "real images as they are, a control",
    "images": "ready images of another tool",
    "mixup": "real images blended in the classifier's loop",
    "cutmix": "real images pasted into each other in the classifier's loop",
}
CONDITIONINGS = {
    "none": "none, images without labels",
    "label": "by an embedding of the class label",
    "class": "one model a class, the steps shared out",
}


def learns(section: AugmenterSection) -> bool:
    """Whether this run trains it; a published first stage is used as it is."""
    return isinstance(section, TrainingSection) and getattr(section, "weights", None) is None


def kind_text(section: AugmenterSection) -> str:
    if section.kind not in KINDS:
        return section.label or f"kind {section.kind} of another package"
    first = f" of {section.first_stage}" if isinstance(section, LatentDiffusion) else ""
    return KINDS[section.kind] + first


def class_text(section: AugmenterSection) -> str:
    """How images get their labels."""
    match section:
        case AnnotatedDDPM():
            return CONDITIONINGS[section.conditioning]
        case MedIENet() if not section.cross_attention:
            how = "added to the time embedding"
        case LatentDiffusion():
            how = f"cross-attention to {section.tokens_per_class} learned tokens a class"
        case CDDPM():
            how = "by an embedding of the class label"
        case TrainingSection():
            return "by an embedding of the class label" if section.kind in ("cvae", "cgan") else "as its kind does"
        case _:
            return "those of the real images" if section.role in ("control", "transform") else "as given"
    return f"{how}, dropped {100 * section.label_dropout:g} % of the time"


def network_text(section: AugmenterSection) -> str:
    """Sizes of a network that is trained."""
    widths = getattr(section, "widths", None)
    parts = [f"widths {', '.join(map(str, widths))}"] if widths else []
    named = {
        "layers_per_stage": "residual blocks a stage: {}",
        "heads": "heads: {}",
        "width": "width {}",
        "latent_dim": "latent of {} numbers",
    }
    parts += [text.format(value) for key, text in named.items() if (value := getattr(section, key, None))]
    if isinstance(section, CDDPM):
        parts.append(f"attention in the last {section.attention_stages} of {len(section.widths)} stages")
    if isinstance(section, Autoencoder):
        parts.append(f"{section.latent_channels} latent channels, sides {2 ** (len(section.widths) - 1)} times smaller")
        parts += [f"published weights {section.weights.sha256[:12]}…"] if section.weights else []
    return ", ".join(parts) or "as its kind does"


def loss_text(section: DiffusionSection) -> str:
    beta = f", β = {section.huber_beta:g}" if section.loss == "huber" else ""
    return f"{LOSS_NAMES[section.loss]}{beta}"


def prediction_text(section: DiffusionSection) -> str:
    return "v" if isinstance(section, ConditionalDiffusion) and section.prediction == "v" else "the noise ε"


def sampler_text(section: DiffusionSection) -> str:
    steps = "" if section.sampler == "ancestral" else f", {section.sample_steps} steps"
    clipped = "clipped" if section.clip_sample else "not clipped"
    return f"{section.sampler}{steps}, x0 {clipped} to [−1, 1]{guidance_text(section)}"


def guidance_text(section: DiffusionSection) -> str:
    if not isinstance(section, ConditionalDiffusion):
        return ""
    return ", no guidance" if section.guidance_scale == 1 else f", guidance scale {section.guidance_scale:g}"


def optimiser_text(section: TrainingSection) -> str:
    averaged = f"weights averaged with decay {section.ema_decay:g}" if section.ema_decay else "no averaging of weights"
    return f"Adam at {section.learning_rate:g}, {averaged}"


def over_fitting_text(section: ConditionalDiffusion) -> str:
    """What is done against it, and which checkpoint is used."""
    return (
        f"dropout {section.dropout:g}; non-leaky augmentation, each transform with probability"
        f" {section.augment_probability:g}, shifts of up to {100 * section.shift:g} % of the side; {_chosen(section)}"
    )


def classic_text(section: Classic) -> str:
    hue = {None: "where the dataset says so", True: "of every image", False: "never"}[section.hue_shift]
    most = ", ".join(f"{key} {100 * getattr(section, key):g} %" for key in ("shift", "zoom", "brightness", "contrast"))
    option = section.randaugment
    named = f"RandAugment with N = {option.operations}, M = {option.magnitude} of 30" if option else "no RandAugment"
    return f"rotations of up to {section.rotation:g}°; at most {most}; another hue {hue}; {named}"


def _chosen(section: ConditionalDiffusion) -> str:
    if section.select == "last":
        return "the last weights are used"
    return (
        f"of {section.fidelity_checks} checks the one with the smallest KID on val at {section.check_dimension}"
        " dimensions is used if it beats the last by more than chance"
    )
