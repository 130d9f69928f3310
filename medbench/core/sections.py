"""Base classes of the config's sections, and types with their bounds."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, StringConstraints, model_validator

NAME = r"^[a-z0-9_]+$"  # it names files and rules, and stands in command lines
Name = Annotated[str, StringConstraints(pattern=NAME)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64}|\$\{\w+\})$")]
HubName = Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")]
Seed = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Precision = Literal["auto", "fp32", "bf16"]
Device = Literal["auto", "cuda", "cpu"]
Dimension = Literal[64, 192, 768, 2048]
Budget = Literal["steps", "epochs"]


class Section(BaseModel):
    """A part of the config; an unknown key is refused with a list of the allowed ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys_only(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            unknown = [key for key in value if key not in cls.model_fields]
            if unknown:
                raise ValueError(f"unknown key {unknown[0]!r} (allowed: {', '.join(sorted(cls.model_fields))})")
        return value


def canonical_json(value: Any) -> str:
    """One spelling per value: sorted keys, no spaces, no NaN. What is hashed, and what goes into `params`."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class Stage(Section):
    """What one stage gets of the config: passed as canonical JSON, and kept in the record of what the stage writes."""

    def canonical(self) -> str:
        """The section as JSON, one spelling per content."""
        return canonical_json(self.model_dump(mode="json"))

    def made_with(self) -> str:
        """A hash of the section: equal hashes mean equal requests."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:16]


class RuntimeStage(Stage):
    """Of a stage that computes with torch."""

    torch_threads: PositiveInt = 2
    precision: Precision = "auto"
    deterministic: bool = False


class WeightsFile(Section):
    """Published weights: a file that is here, one to be downloaded, or a model of the Hugging Face hub."""

    path: str | None = None
    url: str | None = None
    hub: HubName | None = None  # its diffusion_pytorch_model.safetensors
    sha256: Sha256

    @model_validator(mode="after")
    def _one_place(self) -> "WeightsFile":
        if sum(place is not None for place in (self.path, self.url, self.hub)) != 1:
            raise ValueError("give one of path, url and hub")
        return self

    @property
    def address(self) -> str | None:
        """Where it is downloaded from; None for a file that is here."""
        if self.hub is None:
            return self.url
        return f"https://huggingface.co/{self.hub}/resolve/main/diffusion_pytorch_model.safetensors"


class TrainingSection(Section):
    """Settings of every trained network. Lengths are in optimiser steps, never in epochs."""

    steps: PositiveInt = 2800
    batch_size: PositiveInt = 128
    learning_rate: PositiveFloat = 1e-3
    ema_decay: Fraction | None = None
    log_every: PositiveInt = 50  # steps between two rows of training.csv
    probe_images: PositiveInt = 256  # validation images on which the logged values are measured
    checkpoint_every: PositiveInt = 200


def require_once(where: str, listed: Sequence[Any]) -> None:
    """Raises ValueError where something is listed twice."""
    twice = [item for index, item in enumerate(listed) if item in listed[:index]]
    if twice:
        raise ValueError(f"{where}: {twice[0]!r} is listed twice")
