"""The model card of a trained augmenter, in the Hugging Face hub's format."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import StrictUndefined, Template

from medbench.augmenters.base import LogRows
from medbench.augmenters.sections import AugmenterSection
from medbench.data.dataset import Card
from medbench.run.files import write_text

TEMPLATE = Path(__file__).with_suffix(".md.j2")  # words alone: not in a folder `templates`, whose files count as code
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


def write_model_card(
    path: Path, section: AugmenterSection, described: Mapping[str, Any], card: Card, rows: LogRows
) -> None:
    """Writes README.md: the hub's metadata, then data, licence, choices, metrics, and what the model is not for.

    Source: Mitchell et al. 2019, "Model Cards for Model Reporting"; hub format as of huggingface_hub's ModelCard.
    """
    metadata = {
        "license": "other",
        "license_name": f"as of the training images: {card.licence}",
        "library_name": section.library,
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["medbench", "medical-imaging", "data-augmentation", section.kind],
        "datasets": [card.name],
    }
    kept_rows = [row for row in rows if row.get("kept", 1)]  # of the checkpoint that was chosen, where one was
    last = {key: value for row in kept_rows for key, value in row.items() if value not in (None, "")}
    template = Template(TEMPLATE.read_text(encoding="utf-8"), undefined=StrictUndefined, trim_blocks=True)
    text = template.render(
        metadata=yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=1000),
        model=described,
        section=section,
        card=card,
        settings={k: value for k, value in described["augmenter"].items() if k not in LEFT_OUT and value is not None},
        numbers={title: float(last[key]) for key, title in NUMBERS.items() if key in last},
    )
    write_text(path, text.rstrip() + "\n")
