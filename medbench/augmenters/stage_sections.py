"""The section of any augmenter, ours or a plug-in's, and what the stages that train and sample one get of a config."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, GetJsonSchemaHandler, PlainValidator, SerializeAsAny, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from medbench.augmenters import GROUP, KINDS, SECTIONS, built_in, entry_of, plugged_in, section_class
from medbench.augmenters.sections import AugmenterSection
from medbench.core.sections import Name, RuntimeStage, Seed, Sha256, canonical_json


def _of_its_kind(value: Any) -> AugmenterSection:
    """A raw section checked by the model of its kind, ours or a plug-in's."""
    if isinstance(value, AugmenterSection):
        return value
    if not isinstance(value, Mapping):
        raise ValueError(f"{value!r} is no section (expected settings, e.g. kind: cddpm)")
    if "kind" not in value:
        raise ValueError("kind is required")
    return _section_class(value["kind"]).model_validate(value)


def _section_class(kind: Any) -> type[AugmenterSection]:
    plug_ins = plugged_in()
    if not isinstance(kind, str) or kind not in {*built_in(), *plug_ins}:
        allowed = ", ".join(dict.fromkeys([*built_in(), *plug_ins]))
        raise ValueError(
            f"kind {kind!r} is not known (allowed: {allowed}; a package brings its own by an entry point {GROUP})"
        )
    if kind in SECTIONS or kind in KINDS:
        return section_class(kind)
    try:
        section = section_class(kind)
    except Exception as error:  # whatever another package's code raises while it is imported
        raise ValueError(f"kind {kind!r}: its entry point {entry_of(kind)!r} cannot be used: {error}") from error
    if not (isinstance(section, type) and issubclass(section, AugmenterSection)):
        raise ValueError(f"kind {kind!r}: {entry_of(kind)}.Section is no medbench.augmenters.AugmenterSection")
    return section


class _BuiltInKinds:
    """The JSON schema of an augmenter: one of our kinds."""

    @classmethod
    def __get_pydantic_json_schema__(cls, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        sections = {kind: TypeAdapter(section_class(kind)).core_schema for kind in built_in()}
        return handler({"type": "tagged-union", "choices": sections, "discriminator": "kind"})


AnyAugmenter = Annotated[SerializeAsAny[AugmenterSection], PlainValidator(_of_its_kind), _BuiltInKinds]


class TrainStage(RuntimeStage):
    name: Name
    augmenter: AnyAugmenter
    inception_sha256: Sha256 | None = None  # of the extractor by which checkpoints are compared, where they are
    seed: Seed

    @property
    def gpu(self) -> int:
        """GPUs that train it; a kind that is not trained step by step has no such setting."""
        return getattr(self.augmenter, "gpu", 1)

    @property
    def left_out(self) -> set[str]:
        """Settings of sampling, which train nothing again; checks of fidelity during the training do sample."""
        section = self.augmenter
        return {"model", "sample_batch_size"} if section.reads_inception else set(section.SAMPLING_ONLY)

    def canonical(self) -> str:
        return canonical_json(self.model_dump(mode="json", exclude={"augmenter": self.left_out}))


class SampleStage(RuntimeStage):
    name: Name
    augmenter: AnyAugmenter
    n: Annotated[int, Field(ge=2)]  # at least so many images,
    ratio: Annotated[float, Field(ge=0)] = 0.0  # and at least so many per real training image
    seed: Seed


# An augmenter that samples another one's model -------------------------------------------------------------------


def with_models_settings(augmenters: Mapping[str, Any]) -> dict[str, Any]:
    """Raw sections, each that names a `model` completed with what that entry says.

    Raises:
        ValueError: the model is not defined, or names a model itself.
    """
    return {name: _completed(name, section, augmenters) for name, section in augmenters.items()}


def _completed(name: str, section: Any, augmenters: Mapping[str, Any]) -> Any:
    if not isinstance(section, Mapping) or section.get("model") is None:
        return section
    model, where = section["model"], f"augmenters.{name}.model"
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
    trained_with, sampling = model.model_dump(mode="json"), section.SAMPLING_ONLY
    for key, value in section.model_dump(mode="json").items():
        if key not in sampling and trained_with.get(key) != value:
            raise ValueError(
                f"{where}.{key}: {value} differs from {section.model}'s {trained_with.get(key)}, which training has"
                f" fixed; only sampling can differ ({', '.join(sorted(sampling - {'model'}))})"
            )
