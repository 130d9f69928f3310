"""What a config may say: sections, bounds, one-line errors. `load` and `parse` are what all others call."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    ValidationError,
    model_validator,
)

from medbench.arms import Arm
from medbench.errors import UserError

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64}|\$\{\w+\})$")]
ArmName = Annotated[str, AfterValidator(lambda name: Arm.parse(name).name)]
Seed = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Precision = Literal["auto", "fp32", "bf16"]
Dimension = Literal[64, 192, 768, 2048]
Budget = Literal["steps", "epochs"]
Model = TypeVar("Model", bound=BaseModel)
# Each study is a Snakemake target beside these.
RULES = {"all", "fetch_weights", "prepare", "train", "sample", "features_real", "features_generated", "fidelity"}
RULES |= {"utility", "tables", "figures", "report"}
UNSET_VARIABLE = re.compile(r"\$\{(\w+)\}")


class Section(BaseModel):
    """A part of the config; a key that it does not know is refused together with the list of those it does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys_only(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            unknown = [key for key in value if key not in cls.model_fields]
            if unknown:
                raise ValueError(f"unknown key {unknown[0]!r} (allowed: {', '.join(sorted(cls.model_fields))})")
        return value


def _require(where: str, used: Sequence[str], defined: Mapping[str, Any], section: str) -> None:
    for name in used:
        if name not in defined:
            raise ValueError(
                f"{where}: {name!r} is not defined under {section} (defined: {', '.join(sorted(defined))})"
            )
    _require_once(where, used)


def _require_once(where: str, listed: Sequence[Any]) -> None:
    twice = [item for place, item in enumerate(listed) if item in listed[:place]]
    if twice:
        raise ValueError(f"{where}: {twice[0]!r} is listed twice")


# Datasets -------------------------------------------------------------------------------------------------------


class DatasetSection(Section):
    image_size: Annotated[int, Field(ge=8, le=1024)] | None = None  # side in pixels; None: as stored (npz only)
    channels: Literal[1, 3] | None = None  # None: as the images are
    fit: Literal["pad", "crop"] = "pad"  # how an image that is not square becomes square
    horizontal_flip: bool | None = None  # whether a mirror keeps the meaning; None: what the source says, else no
    train_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0  # of the training patients: a dataset of its own
    title: str | None = None
    licence: str | None = None
    citation: str | None = None


class PhantomDataset(DatasetSection):
    kind: Literal["phantom"]
    subject: Literal["ct", "xray", "tongue"]
    image_size: Annotated[int, Field(ge=8, le=1024)] = 64
    train: PositiveInt = 200  # images a class
    val: PositiveInt = 40
    test: PositiveInt = 80


class NpzDataset(DatasetSection):
    kind: Literal["npz"]
    path: str  # a file in MedMNIST's layout
    sha256: Sha256 | None = None
    classes: list[str] | None = None  # names in the order of the labels; None: the labels themselves


class FolderDataset(DatasetSection):
    kind: Literal["folder"]
    path: str  # root/<class>/* or root/<split>/<class>/*
    image_size: Annotated[int, Field(ge=8, le=1024)]
    table: str | None = None  # csv with path, label and optionally split, group (a patient)
    val_fraction: Fraction = 0.1  # held out by seed where the folder has no such split
    test_fraction: Fraction = 0.2
    skip_broken: bool = False  # true: leave broken images out and list them in the card


AnyDataset = Annotated[PhantomDataset | NpzDataset | FolderDataset, Field(discriminator="kind")]


# Augmenters -----------------------------------------------------------------------------------------------------


class TrainingSection(Section):
    """What every trained generator can set. Lengths are in optimiser steps, never in epochs."""

    steps: PositiveInt = 2800
    batch_size: PositiveInt = 128
    learning_rate: PositiveFloat = 1e-3
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    log_every: PositiveInt = 50  # steps between two rows of training.csv
    probe_images: PositiveInt = 256  # validation images of the fixed-noise MSE
    checkpoint_every: PositiveInt = 200


class AugmenterSection(TrainingSection):
    SAMPLING_ONLY: ClassVar[frozenset[str]] = frozenset({"sample_batch_size"})  # changing these trains nothing again

    sample_batch_size: PositiveInt = 64  # changes speed and memory, not the images


class AnnotatedDDPM(AugmenterSection):
    SAMPLING_ONLY = AugmenterSection.SAMPLING_ONLY | {"clip_sample"}

    kind: Literal["annotated_ddpm"]
    width: Annotated[int, Field(ge=4, multiple_of=4)] | None = None  # None: the image size, as in the walk-through
    multipliers: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (1, 2, 4)
    weight_standardization: Literal["divide_by_std", "walkthrough"] = "divide_by_std"
    loss: Literal["l1", "l2", "huber"] = "l2"
    huber_beta: PositiveFloat = 1.0  # smooth L1's corner; below it the loss is MSE / (2 beta)
    schedule: Literal["linear", "cosine", "quadratic", "sigmoid"] = "linear"
    timesteps: Annotated[int, Field(ge=2)] = 300
    clip_sample: bool | None = None  # clip x0 to [-1, 1]; None: only for cosine, which needs it
    conditioning: Literal["none", "label", "class"] = "none"
    # None: where the dataset says that a mirror keeps the meaning; true only to follow a study that mirrored its images
    horizontal_flip: bool | None = None


AnyAugmenter = AnnotatedDDPM  # becomes a union told apart by `kind`, like AnyDataset, with the second kind


# Fidelity, utility, studies, the whole --------------------------------------------------------------------------


class WeightsFile(Section):
    path: str | None = None
    url: str | None = None
    sha256: Sha256

    @model_validator(mode="after")
    def _one_place(self) -> "WeightsFile":
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path or url")
        return self


class FidelitySection(Section):
    weights: WeightsFile | Literal["random"]  # of torch-fidelity's inception-v3-compat; random only for demonstrations
    dimensions: Annotated[tuple[Dimension, ...], Field(min_length=1)] = (64, 192, 768, 2048)
    n_generated: Annotated[int, Field(ge=2)]  # images an augmenter makes for FID, per dataset and generator seed
    floor_draws: PositiveInt = 3
    batch_size: PositiveInt = 32  # changes speed and memory only


class ClassifierSection(Section):
    """The classifier of the utility stage, and how each of its runs is trained: alike for every arm."""

    network: Literal["resnet50", "resnet34", "resnet18"] = "resnet50"  # torchvision's
    image_size: Annotated[int, Field(ge=8, le=1024)] = 64  # side in pixels that images are resized to
    init: Literal["scratch", "imagenet"] = "scratch"
    steps: PositiveInt = 1000  # optimiser steps on the real training split; under the budget `steps`, of every arm
    batch_size: Annotated[int, Field(ge=2)] = 32
    learning_rate: PositiveFloat = 1e-3  # AdamW's at the start; falls to 0 along half a cosine
    weight_decay: NonNegativeFloat = 0.01
    validations: PositiveInt = 20  # checks on val, evenly spaced, as many for every arm; the best one is kept
    shift: Annotated[float, Field(ge=0, lt=0.5)] = 0.0625  # largest random shift, of the side; on every arm
    checkpoint_every: PositiveInt = 500

    @model_validator(mode="after")
    def _as_many_checks_for_every_arm(self) -> "ClassifierSection":
        if self.validations > self.steps:
            raise ValueError(f"validations {self.validations}: more than there are steps ({self.steps})")
        return self


class UtilitySection(ClassifierSection):
    weights: WeightsFile | None = None  # of torchvision's network on ImageNet, needed by `init: imagenet`
    classifier_seeds: Annotated[list[Seed], Field(min_length=1)] = [0, 1, 2]

    @model_validator(mode="after")
    def _weights_are_named(self) -> "UtilitySection":
        if self.init == "imagenet" and self.weights is None:
            raise ValueError("init imagenet needs weights: {url or path, sha256}")
        _require_once("classifier_seeds", self.classifier_seeds)
        return self


def _as_list(papers: Any) -> Any:
    if papers is None:
        return []
    return [papers] if isinstance(papers, str) else papers


PaperKey = Literal["cao2025", "medienet2025"]
Papers = Annotated[list[PaperKey], BeforeValidator(_as_list, json_schema_input_type=PaperKey | list[PaperKey] | None)]


class Study(Section):
    datasets: Annotated[list[Name], Field(min_length=1)]
    augmenters: list[Name] = []
    generator_seeds: list[Seed] = []
    arms: list[ArmName] = []  # real, real+oversample@<ratio>, real+<augmenter>@<ratio>, only-<augmenter>
    budgets: Annotated[list[Budget], Field(min_length=1)] = ["steps"]
    paper: Papers = []  # one or several, whose published values stand beside ours

    @model_validator(mode="after")
    def _something_to_do(self) -> "Study":
        if not self.augmenters and not self.arms:
            raise ValueError("has neither augmenters nor arms, so there is nothing to do")
        if bool(self.augmenters) != bool(self.generator_seeds):
            raise ValueError("augmenters and generator_seeds come together")
        for key in ("generator_seeds", "arms", "budgets", "paper"):
            _require_once(key, getattr(self, key))
        for arm in map(Arm.parse, self.arms):
            if arm.augmenter and arm.augmenter not in self.augmenters:
                raise ValueError(f"arms: {arm.name}: {arm.augmenter!r} is not among the study's augmenters")
        return self


class Config(Section):
    name: Name  # results/<name>/ holds everything made with this config
    seed: Seed = 0  # every draw derives from it
    torch_threads: PositiveInt = 2  # sums depend on it
    precision: Precision = "auto"
    deterministic: bool = False  # bit-equal on GPU too, slower
    datasets: dict[Name, AnyDataset]
    augmenters: dict[Name, AnyAugmenter]
    fidelity: FidelitySection
    utility: UtilitySection = UtilitySection()
    studies: dict[Name, Study]
    run: Annotated[list[Name], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_are_defined(self) -> "Config":
        _require("run", self.run, self.studies, "studies")
        for name, study in self.studies.items():
            if name in RULES:
                raise ValueError(f"studies.{name}: is the name of a rule of the workflow; give the study another")
            _require(f"studies.{name}.datasets", study.datasets, self.datasets, "datasets")
            _require(f"studies.{name}.augmenters", study.augmenters, self.augmenters, "augmenters")
            for arm in map(Arm.parse, study.arms):
                if arm.augmenter and self.augmenters[arm.augmenter].conditioning == "none":
                    raise ValueError(
                        f"studies.{name}.arms: {arm.name}: a classifier needs labels, and {arm.augmenter} makes none"
                        " (give it conditioning: label or class)"
                    )
        if "oversample" in self.augmenters:
            raise ValueError("augmenters.oversample: is the name of the control arm; give the augmenter another")
        return self


# Loading --------------------------------------------------------------------------------------------------------


def load(raw: Mapping[str, Any]) -> Config:
    """The checked config.

    Args:
        raw: what Snakemake merged from config.yaml, presets and `--config`.

    Raises:
        UserError: an unknown key, a wrong type, an impossible value, an undefined name, or a `${VARIABLE}` that is not
            set although a study in `run` needs it.
    """
    config = parse(Config, raw, "config")
    _require_variables(config)
    return config


def as_written(raw: Mapping[str, Any]) -> Config:
    """The same with every `${VARIABLE}` as it stands: what may be shown to others."""
    return _validated(Config, raw, "config")


def parse(model: type[Model], raw: Any, where: str) -> Model:
    """`raw` checked against a section's model, environment variables filled in.

    Raises:
        UserError: the first thing that is wrong, in one line.
    """
    return _validated(model, _expand(raw), where)


def _validated(model: type[Model], raw: Any, where: str) -> Model:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{where}: {_explain(error, raw)}") from error


def parse_text(model: type[Model], text: str, where: str) -> Model:
    """The same from JSON text, or from the .json or .yaml file that the text names."""
    try:
        named_file = not text.lstrip().startswith("{")
        content = Path(text).read_text(encoding="utf-8") if named_file else text
        return parse(model, yaml.safe_load(content), where)
    except OSError as error:
        raise UserError(f"{where}: {text}: {error.strerror} (expected JSON, or a .json or .yaml file)") from error
    except yaml.YAMLError as error:
        raise UserError(f"{where}: is neither JSON nor YAML: {str(error).splitlines()[0]}") from error


def reached(config: Config) -> dict[str, Study]:
    """The studies listed in `run`."""
    return {name: config.studies[name] for name in config.run}


def _require_variables(config: Config) -> None:
    wanted: dict[str, Section] = {}
    for study in reached(config).values():
        wanted |= {"fidelity": config.fidelity} if study.augmenters else {}
        wanted |= {"utility": config.utility} if study.arms and config.utility.init == "imagenet" else {}
        wanted |= {f"datasets.{name}": config.datasets[name] for name in study.datasets}
    for where, section in wanted.items():
        unset = UNSET_VARIABLE.search(section.model_dump_json())
        if unset:
            raise UserError(f"config: {where}: the environment variable {unset[1]} is not set (export {unset[1]}=...)")


def _expand(value: Any) -> Any:
    """Fills ${VARIABLE} in every string; a variable that is not set stays as it is."""
    if isinstance(value, str):
        return UNSET_VARIABLE.sub(lambda match: os.environ.get(match[1], match[0]), value)
    if isinstance(value, Mapping):
        return {key: _expand(item) for key, item in value.items()}
    return [_expand(item) for item in value] if isinstance(value, list) else value


def _explain(error: ValidationError, raw: Any) -> str:
    first, *others = error.errors()
    where = ".".join(_written_location(first["loc"], raw))
    match first["type"]:
        case "value_error":
            what = str(first["ctx"]["error"])
        case "missing":
            what = "is required"
        case "literal_error":
            what = f"{first['input']!r} is not allowed (allowed: {first['ctx']['expected']})"
        case "union_tag_invalid":
            what = f"kind {first['ctx']['tag']!r} is not known (allowed: {first['ctx']['expected_tags']})"
        case "union_tag_not_found":
            what = "kind is required"
        case _:
            what = f"{first['input']!r}: {first['msg']}"
    more = f" (and {len(others)} more)" if others else ""
    return f"{where}: {what}{more}" if where else f"{what}{more}"


def _written_location(location: Sequence[str | int], raw: Any) -> list[str]:
    """Pydantic's location without the tags that it adds for unions, which the user never wrote."""
    written, here = [], raw
    for position, part in enumerate(location):
        if (
            isinstance(here, Mapping)
            and part not in here
            and (position < len(location) - 1 or part == here.get("kind"))
        ):
            continue
        written.append(str(part))
        inside = isinstance(here, list) and isinstance(part, int) and part < len(here)
        here = here[part] if inside or (isinstance(here, Mapping) and part in here) else None
    return written
