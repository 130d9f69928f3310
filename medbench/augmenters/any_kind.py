"""The section of any augmenter: a built-in kind, or one that another package brings."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import Field, SerializeAsAny, ValidatorFunctionWrapHandler, WrapValidator

from medbench.augmenters import GROUP, augmenter_class
from medbench.augmenters.sections import (
    BUILT_IN,
    CDDPM,
    CGAN,
    CVAE,
    LDM,
    AnnotatedDDPM,
    AugmenterSection,
    Autoencoder,
    Classic,
    Copy,
    CutMix,
    Images,
    MedIENet,
    MixUp,
)
from medbench.core.registry import plugged_in

BuiltIn = Annotated[
    AnnotatedDDPM | MedIENet | LDM | CDDPM | Autoencoder | CVAE | CGAN | Classic | Copy | Images | MixUp | CutMix,
    Field(discriminator="kind"),
]
OWN_KINDS = {get_args(section.model_fields["kind"].annotation)[0] for section in BUILT_IN}


def _by_kind(value: Any, built_in: ValidatorFunctionWrapHandler) -> Any:
    """A plug-in's section is checked by the plug-in's own model; everything else by the union of ours."""
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if isinstance(value, AugmenterSection) or not isinstance(kind, str) or kind in OWN_KINDS:
        return value if isinstance(value, AugmenterSection) else built_in(value)
    others = plugged_in(GROUP)
    if kind not in others:
        allowed = ", ".join([*sorted(OWN_KINDS), *others])
        raise ValueError(
            f"kind {kind!r} is not known (allowed: {allowed}; a package brings its own by an entry point {GROUP})"
        )
    return _section_of_plug_in(kind, others[kind]).model_validate(value)


def _section_of_plug_in(kind: str, entry: str) -> type[AugmenterSection]:
    try:
        section = augmenter_class(kind).Section
    except Exception as error:  # whatever another package's code raises while it is imported
        raise ValueError(f"kind {kind!r}: its entry point {entry!r} cannot be used: {error}") from error
    if not (isinstance(section, type) and issubclass(section, AugmenterSection)):
        raise ValueError(f"kind {kind!r}: {entry}.Section is no medbench.augmenters.sections.AugmenterSection")
    return section


AnyAugmenter = Annotated[SerializeAsAny[BuiltIn], WrapValidator(_by_kind)]
