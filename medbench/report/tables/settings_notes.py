"""Sentences with every setting that the images of a study depend on."""

from collections.abc import Collection, Mapping
from typing import Any

from medbench.report.results import StudyResults

NO_NUMBER_DEPENDS_ON = ("checkpoint_every", "log_every", "probe_images", "sample_batch_size")


def settings_notes(results: StudyResults, names: Collection[str] | None = None) -> list[str]:
    """What the augmenters share, then each one's own; of one that samples another's model what differs from that.

    Args:
        results: what a study left.
        names: of the augmenters that are meant; None: all.
    """
    wanted = [name for name in results.in_rows if names is None or name in names]
    settings = {name: results.settings[name] for name in wanted if name in results.settings}
    own = {name: found for name, found in settings.items() if results.models.get(name) not in settings}
    shared = _shared(list(own.values()))
    sentences = [f"All augmenters: {_spelled(shared)}."] if shared else []
    sentences += [f"{name}: {text}." for name, found in own.items() if (text := _spelled(_without(found, shared)))]
    for name in (name for name in settings if name not in own):
        model = results.models[name]
        differing = _spelled(_differing(settings[name], settings[model])) or "the same settings"
        sentences.append(f"{name}: the model of {model}, sampled with {differing}.")
    return sentences


def _shared(settings: list[dict[str, Any]]) -> dict[str, Any]:
    first = settings[0] if settings else {}
    return {key: value for key, value in first.items() if all(key in own and own[key] == value for own in settings)}


def _without(settings: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in keys}


def _differing(settings: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "model" and model.get(key) != value}


def _spelled(settings: Mapping[str, Any]) -> str:
    """What is None follows from the data or from another setting, as the config says."""
    said = {key: value for key, value in settings.items() if value is not None and key not in NO_NUMBER_DEPENDS_ON}
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in sorted(said.items()))
