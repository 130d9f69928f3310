"""The model card of a trained augmenter, in the Hugging Face hub's format."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from medbench.augmenters.base import LogRows
from medbench.augmenters.sections import AugmenterSection
from medbench.data.dataset import Card
from medbench.run.files import write_text

# Settings that a reader of the card does not need, or reads elsewhere in it.
LEFT_OUT = {"kind", "model", "log_every", "checkpoint_every", "probe_images", "sample_batch_size", "weights"}
LEFT_OUT |= {"sampler", "sample_steps", "clip_sample", "guidance_scale"}  # of a call, not of the model
NUMBERS = {  # columns of training.csv -> what a reader calls them
    "eps_mse": "mean squared error of the predicted noise",
    "kid": "KID to validation images",
    "psnr": "PSNR of reconstructions, dB",
    "ssim": "SSIM of reconstructions",
    "val_mse": "mean squared error of reconstructions",
}

REAL = (
    "This folder holds real images (images.npz), and what it makes are these, changed or not: share it only as they may"
    " be shared. Not for diagnosis or for teaching it."
)
DRAWN = (
    "Its images are drawn: they show no patient, may be wrong in any detail, and can still repeat a training image. Not"
    " for diagnosis or for teaching it."
)


def write_model_card(
    path: Path, section: AugmenterSection, described: Mapping[str, Any], card: Card, rows: LogRows
) -> None:
    """Writes README.md: the hub's metadata, then data, licence, choices, metrics, and what the model is not for.

    Source: Mitchell et al. 2019, "Model Cards for Model Reporting"; hub format as of huggingface_hub's ModelCard.
    """
    name = described["name"]
    metadata = {
        "license": "other",
        "license_name": f"as of the training images: {card.licence}",
        "library_name": section.library,
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["medbench", "medical-imaging", "data-augmentation", section.kind],
        "datasets": [card.name],
    }
    parts = [
        f"---\n{yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=1000)}---",
        f"# {name} on {card.title}",
        f"Makes images of {', '.join(card.classes)} at {_size(card)}, as extra training images for a classifier.",
        f"**Not a medical device.** {REAL if section.holds_real_images else DRAWN}",
        _data(card),
        _method(section),
        _choices(described),
        _metrics(rows),
        *([_usage(card)] if section.library == "diffusers" else []),
    ]
    write_text(path, "\n\n".join(parts) + "\n")


def _data(card: Card) -> str:
    counts = ", ".join(f"{name} {n}" for name, n in zip(card.classes, card.counts["train"], strict=True))
    return (
        f"## Data\n{card.title}: {card.source}. Training images: {counts}.\n\n- Licence of the images: {card.licence}."
        " Weights that were fitted to images can carry their restrictions, and can reproduce single training images.\n"
        f"- Citation: {card.citation}"
    )


def _method(section: AugmenterSection) -> str:
    paper = f": {section.citation}" if section.citation else ""
    return f"## Method\n{section.label or section.kind}{paper}."


def _choices(described: Mapping[str, Any]) -> str:
    section = {key: value for key, value in described["augmenter"].items() if key not in LEFT_OUT and value is not None}
    lines = [f"| {key} | {_spelled(value)} |" for key, value in section.items()]
    weights = ", ".join(f"{component} {n:,}" for component, n in described["parameters"].items())
    table = "\n".join(["| setting | value |", "| --- | --- |", *lines])
    length = f"{described['images_seen']:,} images seen, generator seed {described['generator_seed']}."
    return f"## Choices\n{table}\n\nWeights: {weights or 'none'}. {length}"


def _metrics(rows: LogRows) -> str:
    kept_rows = [row for row in rows if row.get("kept", 1)]  # of the checkpoint that was chosen, where one was
    last = {key: value for row in kept_rows for key, value in row.items() if value not in (None, "")}
    lines = [f"- {title}: {float(last[key]):.4g}" for key, title in NUMBERS.items() if key in last]
    metrics = "\n".join(lines) or "- none: nothing is learned"
    return (
        f"## Metrics\nOn validation images, of the weights that are saved:\n{metrics}\n\n"
        "Fidelity against real images, and what the images do to a classifier, are in the tables of the run that"
        " trained this model."
    )


def _usage(card: Card) -> str:
    return (
        "## Use\n```python\nfrom medbench import MedIENetPipeline\n"
        "pipeline = MedIENetPipeline.from_pretrained(folder)\n"
        f'images = pipeline("{card.classes[0]}", n=4, seed=0).images\n```'
    )


def _size(card: Card) -> str:
    return f"{card.image_size[0]}×{card.image_size[1]} pixels, {'gray' if card.channels == 1 else 'RGB'}"


def _spelled(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
