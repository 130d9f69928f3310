"""An augmenter that samples another one's model: it has that one's settings, but for those of sampling."""

from collections.abc import Mapping
from typing import Any

from medbench.augmenters.sections import AugmenterSection


def with_models_settings(augmenters: Mapping[str, Any]) -> dict[str, Any]:
    """Raw sections, each that names a `model` completed with what that entry says.

    Raises:
        ValueError: the model is not defined, or names a model itself.
    """
    return {name: _completed(name, section, augmenters) for name, section in augmenters.items()}


def _completed(name: str, section: Any, augmenters: Mapping[str, Any]) -> Any:
    model = section.get("model") if isinstance(section, Mapping) else getattr(section, "model", None)
    if model is None or not isinstance(section, Mapping):
        return section
    where = f"augmenters.{name}.model"
    if not isinstance(model, str) or model not in augmenters:
        raise ValueError(f"{where}: {model!r} is not defined under augmenters")
    base = augmenters[model]
    if isinstance(base, AugmenterSection):
        base = base.model_dump(mode="json")
    if not isinstance(base, Mapping):
        raise ValueError(f"{where}: {model} has no settings under augmenters (expected a section)")
    if base.get("model") is not None:
        raise ValueError(f"{where}: {model} samples the model of {base['model']}; name that one")
    return {**base, **section}


def require_same_training(where: str, section: AugmenterSection, model: AugmenterSection) -> None:
    """Raises ValueError where `section` sets something that the model's training has fixed."""
    own, fixed = section.model_dump(mode="json"), model.model_dump(mode="json")
    sampling = section.SAMPLING_ONLY
    for key, value in own.items():
        if key not in sampling and fixed.get(key) != value:
            raise ValueError(
                f"{where}.{key}: {value} differs from {section.model}'s {fixed.get(key)}, which training has fixed;"
                f" only sampling can differ ({', '.join(sorted(sampling - {'model'}))})"
            )
