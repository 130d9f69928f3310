"""What each augmenter is, how large it is and what it cost, in numbers that no clock takes part in."""

import itertools
from collections.abc import Mapping
from typing import Any

import pandas as pd

from medbench.report.results import CONDITION, Generator, StudyResults, flat

FACT_COLUMNS = ["dataset", "augmenter", "generator_seed", "kind", "model", "space", "loss", "sampler", "sampler_steps"]
FACT_COLUMNS += ["guidance_scale", "evaluations", "parameters", "first_stage_parameters", "images_seen"]
FACT_COLUMNS += ["first_stage_images_seen", "images_seen_total", "psnr", "ssim", "there"]
EVALUATIONS = {"cvae": 1, "cgan": 1, "classic": 0, "copy": 0, "images": 0}  # an image; not of diffusion models
NOT_COUNTED = "discriminator"  # it takes part in training and makes no image


def facts(results: StudyResults) -> pd.DataFrame:
    """One row a dataset, augmenter (ceilings last) and generator seed: FACT_COLUMNS, and how the model was trained.

    parameters: of the networks that make images. images_seen: optimiser steps × batch size. Both without the first
    stage, which has columns of its own: 0 without one, NaN where its model is a gap. psnr (dB), ssim: of a first
    stage's reconstructions of validation images. there: whether the model is.
    """
    generators = itertools.product(results.datasets, results.in_rows, results.seeds)
    rows = [_of_section(results.section(of[1])) | _of_model(results, of) for of in generators]
    whole = pd.DataFrame(rows, columns=None if rows else FACT_COLUMNS)
    conditions = sorted(str(name) for name in whole if str(name).startswith(CONDITION))
    return whole.reindex(columns=[*FACT_COLUMNS, *conditions])


def sampler_steps(section: Mapping[str, Any]) -> int | None:
    """Steps of a diffusion model's sampler; None for what is none."""
    steps: int | None = section.get("sample_steps")
    return steps


def evaluations(section: Mapping[str, Any]) -> int | None:
    """Of the network, for one image: with guidance, both halves of the batch count. None: not known of this kind.

    >>> evaluations({"kind": "ldm", "sample_steps": 25, "guidance_scale": 2.0})
    50
    """
    steps = sampler_steps(section)
    if steps is None:
        return EVALUATIONS.get(str(section.get("kind")))
    return steps * (1 if section.get("guidance_scale") in (None, 0, 1) else 2)


def space(section: Mapping[str, Any]) -> str | None:
    """Where an augmenter learns; None where it learns nothing."""
    if section.get("first_stage"):
        return f"latents of {section['first_stage']}"
    return "pixels" if "steps" in section else None


def _of_section(section: Mapping[str, Any]) -> dict[str, Any]:
    settings = {name: section.get(name) for name in ("kind", "loss", "sampler", "guidance_scale")}
    steps = {"sampler_steps": sampler_steps(section), "evaluations": evaluations(section)}
    return {**settings, **steps, "space": space(section)}


def _of_model(results: StudyResults, generator: Generator) -> dict[str, Any]:
    dataset, name, seed = generator
    row = {"dataset": dataset, "augmenter": name, "generator_seed": seed, "model": results.trained(name)}
    model = results.described.get(generator)
    if model is None:
        return row | {"there": False}
    first = results.first_stages.get(name)
    below = results.described.get((dataset, first, seed)) if first else {}
    own = {"parameters": _parameters(model), "images_seen": model.get("images_seen")}
    of_first = {f"first_stage_{key}": value for key, value in _size(below, own).items()}
    seen = (own["images_seen"], of_first["first_stage_images_seen"])
    total = None if None in seen else sum(seen)
    scores = _reconstruction(results, generator) if name in results.ceilings else {}
    conditions = flat(model["runtime"], CONDITION)
    return row | own | of_first | {"images_seen_total": total, "there": True} | scores | conditions


def _size(model: Mapping[str, Any] | None, keys: Mapping[str, Any]) -> dict[str, Any]:
    """Of a first stage: {} is none at all, None one that is a gap."""
    if not model:
        return dict.fromkeys(keys, None if model is None else 0)
    return {"parameters": _parameters(model), "images_seen": model.get("images_seen")}


def _parameters(model: Mapping[str, Any]) -> int | None:
    counted = model.get("parameters")
    return None if counted is None else sum(n for part, n in counted.items() if part != NOT_COUNTED)


def _reconstruction(results: StudyResults, generator: Generator) -> dict[str, float]:
    """At the end of the training."""
    dataset, name, seed = generator
    log = results.curves.reindex(columns=["dataset", "augmenter", "generator_seed", "psnr", "ssim"]).dropna()
    own = log[(log["dataset"] == dataset) & (log["augmenter"] == name) & (log["generator_seed"] == seed)]
    return {name: float(own[name].iloc[-1]) for name in ("psnr", "ssim")} if len(own) else {}
