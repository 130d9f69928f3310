"""What a config may say: sections, bounds, one-line errors. `load` and `parse` are what all others call."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from medbench.augmenters.any_kind import OWN_KINDS, AnyAugmenter
from medbench.augmenters.inherit import require_same_training, with_models_settings
from medbench.core.arms import Arm
from medbench.core.errors import UserError
from medbench.core.sections import (
    NAME,
    Budget,
    Device,
    Dimension,
    Name,
    Precision,
    Section,
    Seed,
    WeightsFile,
    require_once,
)
from medbench.data.sections import AnyDataset
from medbench.run.json_files import read_json

ArmName = Annotated[str, AfterValidator(lambda name: Arm.parse(name).name)]
Model = TypeVar("Model", bound=BaseModel)
# Each study is a Snakemake target beside these.
RULES = {
    "all",
    "fetch",
    "fetch_all",
    "prepare",
    "audit",
    "audit_page",
    "train",
    "sample",
    "features_real",
    "features_generated",
    "fidelity",
    "neighbours",
    "neighbours_page",
}
RULES |= {"utility", "section", "tables", "figures", "report"}
PATH_BEGINS = re.compile(r"^(~\w*|\$\w+)(/|$)")
UNSET_VARIABLE = re.compile(r"\$\{(\w+)\}")


def _require(where: str, used: Sequence[str], defined: Mapping[str, Any], section: str) -> None:
    for name in used:
        if name not in defined:
            raise ValueError(
                f"{where}: {name!r} is not defined under {section} (defined: {', '.join(sorted(defined))})"
            )
    require_once(where, used)


# Fidelity, utility, studies, the whole --------------------------------------------------------------------------


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
        require_once("classifier_seeds", self.classifier_seeds)
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
    ablation: Name | None = None  # the whole model that the study's other augmenters are parts of: a table and a figure
    sampling: Name | None = None  # the model that its augmenters sample with other settings: a table and a figure

    @model_validator(mode="after")
    def _something_to_do(self) -> "Study":
        if not self.augmenters and not self.arms:
            raise ValueError("has neither augmenters nor arms, so there is nothing to do")
        if bool(self.augmenters) != bool(self.generator_seeds):
            raise ValueError("augmenters and generator_seeds come together")
        for key in ("generator_seeds", "arms", "budgets", "paper"):
            require_once(key, getattr(self, key))
        for arm in map(Arm.parse, self.arms):
            if arm.augmenter and arm.augmenter not in self.augmenters:
                raise ValueError(f"arms: {arm.name}: {arm.augmenter!r} is not among the study's augmenters")
        for key in ("ablation", "sampling"):
            if getattr(self, key) not in (None, *self.augmenters):
                raise ValueError(f"{key}: {getattr(self, key)!r} is not among the study's augmenters")
        return self


class Config(Section):
    name: Name  # results/<name>/ holds everything made with this config
    seed: Seed = 0  # every draw derives from it
    torch_threads: PositiveInt = 2  # sums depend on it
    precision: Precision = "auto"
    deterministic: bool = False  # bit-equal on GPU too, slower
    device: Device = "auto"  # cuda refuses to compute without a GPU, cpu leaves those there are alone
    datasets: dict[Name, AnyDataset]
    augmenters: dict[Name, AnyAugmenter]
    fidelity: FidelitySection
    utility: UtilitySection = UtilitySection()
    studies: dict[Name, Study]
    run: Annotated[list[Name], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _models_settings(cls, value: Any) -> Any:
        """An augmenter with `model: x` has the settings of x where it says nothing of its own."""
        if isinstance(value, Mapping) and isinstance(value.get("augmenters"), Mapping):
            return {**value, "augmenters": with_models_settings(value["augmenters"])}
        return value

    @model_validator(mode="after")
    def _names_are_defined(self) -> "Config":
        _require("run", self.run, self.studies, "studies")
        for name, study in self.studies.items():
            if name in RULES:
                raise ValueError(f"studies.{name}: is the name of a rule of the workflow; give the study another")
            _require(f"studies.{name}.datasets", study.datasets, self.datasets, "datasets")
            _require(f"studies.{name}.augmenters", study.augmenters, self.augmenters, "augmenters")
            for arm in map(Arm.parse, study.arms):
                if arm.augmenter and not self.augmenters[arm.augmenter].labelled:
                    raise ValueError(
                        f"studies.{name}.arms: {arm.name}: a classifier needs labels, and {arm.augmenter} makes none"
                        " (give it conditioning: label or class)"
                    )
        if "oversample" in self.augmenters:
            raise ValueError("augmenters.oversample: is the name of the control arm; give the augmenter another")
        return self

    @model_validator(mode="after")
    def _several_labels_train_no_classifier(self) -> "Config":
        for name, study in self.studies.items():
            several = [each for each in study.datasets if self.datasets[each].several_labels]
            labelled = [each for each in study.augmenters if self.augmenters[each].labelled]
            if several and (study.arms or labelled):
                used = f"the augmenter {labelled[0]} uses labels" if labelled else "arms train classifiers"
                raise ValueError(
                    f"studies.{name}: {several[0]} has several labels an image, which is for unconditional augmenters"
                    f" and fidelity alone, and {used}; leave one of them out"
                )
        return self

    @model_validator(mode="after")
    def _augmenters_fit_together(self) -> "Config":
        for name, section in self.augmenters.items():
            where = f"augmenters.{name}"
            if section.model is not None:
                require_same_training(where, section, self.augmenters[section.model])
            needed = section.reads_model
            if needed is not None:
                _require(f"{where}.first_stage", [needed], self.augmenters, "augmenters")
                if self.augmenters[needed].model is not None:
                    raise ValueError(f"{where}.first_stage: {needed} has no model of its own; name the one it samples")
                if not self.augmenters[needed].CEILING:
                    raise ValueError(
                        f"{where}.first_stage: {needed} is no autoencoder ({self.augmenters[needed].kind})"
                    )
        return self

    @model_validator(mode="after")
    def _checks_have_weights(self) -> "Config":
        listed = [name for study in reached(self).values() for name in study.augmenters]
        for name in listed if self.fidelity.weights == "random" else []:
            if self.augmenters[name].reads_inception:
                raise ValueError(
                    f"augmenters.{name}.fidelity_checks: random Inception weights say nothing about which checkpoint is"
                    " better; give fidelity.weights a file, or fidelity_checks: 0 and select: last"
                )
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
    _require_licences(config)
    _require_seeded(config)
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
        return parse(model, _section_in(Path(text)) if named_file else yaml.safe_load(text), where)
    except OSError as error:
        raise UserError(f"{where}: {text}: {error.strerror} (expected JSON, or a .json or .yaml file)") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{where}: is neither JSON nor YAML: {str(error).splitlines()[0]}") from error


def _section_in(path: Path) -> Any:
    """One that medbench wrote carries its hash, one written by hand does not."""
    content = path.read_bytes()
    return read_json(path) if b'"seal": "' in content else yaml.safe_load(content.decode())


def reached(config: Config) -> dict[str, Study]:
    """The studies listed in `run`."""
    return {name: config.studies[name] for name in config.run}


def _require_seeded(config: Config) -> None:
    """Images that are the same for every generator seed would count as if they were made anew."""
    for name, study in reached(config).items():
        alike = [each for each in study.augmenters if not config.augmenters[each].SEEDED]
        if alike and len(study.generator_seeds) > 1:
            raise UserError(
                f"config: studies.{name}.generator_seeds: the images of {alike[0]} are the same for every seed; list it"
                " in a study with one generator seed"
            )


def _require_licences(config: Config) -> None:
    """Before a download starts."""
    for name in dict.fromkeys(name for study in reached(config).values() for name in study.datasets):
        licence = config.datasets[name].licence_to_accept
        if licence:
            raise UserError(
                f"config: datasets.{name}: may be used under {licence} alone; if you agree, say"
                f" accept_licence: {licence}"
            )


def _require_variables(config: Config) -> None:
    wanted: dict[str, Section] = {}
    for study in reached(config).values():
        wanted |= {"fidelity": config.fidelity} if study.augmenters else {}
        wanted |= {"utility": config.utility} if study.arms and config.utility.init == "imagenet" else {}
        wanted |= {f"datasets.{name}": config.datasets[name] for name in study.datasets}
        firsts = [config.augmenters[name].reads_model for name in study.augmenters]
        wanted |= {f"augmenters.{name}": config.augmenters[name] for name in (*study.augmenters, *firsts) if name}
    for where, section in wanted.items():
        unset = UNSET_VARIABLE.search(section.model_dump_json())
        if unset:
            raise UserError(f"config: {where}: the environment variable {unset[1]} is not set (export {unset[1]}=...)")


def _expand(value: Any) -> Any:
    """Fills ${VARIABLE} in every string, and ~ or $VARIABLE where a path begins; what is not set stays as it is."""
    if isinstance(value, str):
        filled = UNSET_VARIABLE.sub(lambda match: os.environ.get(match[1], match[0]), value)
        return os.path.expandvars(os.path.expanduser(filled)) if PATH_BEGINS.match(filled) else filled
    if isinstance(value, Mapping):
        return {key: _expand(item) for key, item in value.items()}
    return [_expand(item) for item in value] if isinstance(value, list) else value


def _explain(error: ValidationError, raw: Any) -> str:
    errors = [each for each in error.errors() if each["type"] != "default_factory_not_called"]  # for want of another
    first, *others = errors
    where = ".".join(_written_location(first["loc"], raw))
    match first["type"]:
        case "value_error":
            cause = first["ctx"]["error"]
            if isinstance(cause, ValidationError):  # of a section that was checked by itself
                inside = _explain(cause, _at(raw, first["loc"]))
                return f"{where}.{inside}" if where else inside
            what = str(cause)
        case "missing":
            what = "is required"
        case "string_pattern_mismatch" if first["ctx"]["pattern"] == NAME:
            what = f"{first['input']!r} is no name (expected lower-case letters, digits and _)"
        case "literal_error":
            what = f"{first['input']!r} is not allowed (allowed: {first['ctx']['expected']})"
        case "union_tag_invalid":
            what = f"kind {first['ctx']['tag']!r} is not known (allowed: {first['ctx']['expected_tags']})"
        case "union_tag_not_found":
            what = "kind is required"
        case "string_type":
            what = f"{first['input']!r} is no text; put it in quotes: '{first['input']}'"
        case "list_type" if isinstance(first["input"], str):
            what = f"{first['input']!r} is no list; give [{first['input']}]"
        case _:
            what = f"{first['input']!r}: {first['msg']}"
    more = f" (and {len(others)} more)" if others else ""
    return f"{where}: {what}{more}" if where else f"{what}{more}"


def _at(raw: Any, location: Sequence[str | int]) -> Any:
    """The part of `raw` at a location, None where there is none."""
    for part in location:
        raw = raw.get(part) if isinstance(raw, Mapping) else None
    return raw


def _written_location(location: Sequence[str | int], raw: Any) -> list[str]:
    """Pydantic's location without the tags that it adds for unions, which the user never wrote."""
    written, here = [], raw
    for position, part in enumerate(location):
        if _is_tag(part, here, position == len(location) - 1):
            continue
        written.append(str(part) if str(part).isprintable() else repr(part))
        inside = isinstance(here, list) and isinstance(part, int) and part < len(here)
        here = here[part] if inside or (isinstance(here, Mapping) and part in here) else None
    return written


def _is_tag(part: str | int, here: Any, last: bool) -> bool:
    """Whether a part of a location is a validator's function or a kind; what stands last may be a missing key."""
    if "[" in str(part):
        return True
    if not isinstance(here, Mapping) or part in here:
        return False
    return not last or part in (here.get("kind"), *OWN_KINDS)  # an entry with a `model` has its kind from there
