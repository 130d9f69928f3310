"""What a config may say as a whole: studies, and how their parts fit together."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from medbench.augmenters.stage_sections import AnyAugmenter, require_same_training, with_models_settings
from medbench.config.stage_code import MODULES
from medbench.core.arms import Arm, ArmName
from medbench.core.sections import Budget, Device, Name, Precision, Section, Seed, require_once
from medbench.data.sections import AnyDataset
from medbench.fidelity.sections import FidelitySection
from medbench.utility.sections import UtilitySection

# Each study is a Snakemake target beside these.
RULES = {*MODULES, "all", "fetch_all", "features_real", "features_generated", "section"}


def _require(where: str, used: Sequence[str], defined: Mapping[str, Any], section: str) -> None:
    for name in used:
        if name not in defined:
            known = ", ".join(sorted(defined))
            raise ValueError(f"{where}: {name!r} is not defined under {section} (defined: {known})")
    require_once(where, used)


def _as_list(papers: Any) -> Any:
    return [] if papers is None else [papers] if isinstance(papers, str) else papers


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

    @property
    def reached(self) -> dict[str, Study]:
        """The studies listed in `run`."""
        return {name: self.studies[name] for name in self.run}

    @property
    def reached_datasets(self) -> list[str]:
        return list(dict.fromkeys(name for study in self.reached.values() for name in study.datasets))

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
            several = [dataset for dataset in study.datasets if self.datasets[dataset].several_labels]
            labelled = [augmenter for augmenter in study.augmenters if self.augmenters[augmenter].labelled]
            if several and (study.arms or labelled):
                used = f"the augmenter {labelled[0]} uses labels" if labelled else "arms train classifiers"
                raise ValueError(
                    f"studies.{name}: {several[0]} has several labels per image, which is for unconditional augmenters"
                    f" and fidelity alone, and {used}; leave one of them out"
                )
        return self

    @model_validator(mode="after")
    def _augmenters_fit_together(self) -> "Config":
        for name, section in self.augmenters.items():
            if section.model is not None:
                require_same_training(f"augmenters.{name}", section, self.augmenters[section.model])
            needed, where = section.reads_model, f"augmenters.{name}.first_stage"
            if needed is None:
                continue
            _require(where, [needed], self.augmenters, "augmenters")
            first_stage = self.augmenters[needed]
            if first_stage.model is not None:
                raise ValueError(f"{where}: {needed} has no model of its own; name the one it samples")
            if first_stage.role != "first_stage":
                raise ValueError(f"{where}: {needed} is no autoencoder ({first_stage.kind})")
        return self

    @model_validator(mode="after")
    def _checks_have_weights(self) -> "Config":
        listed = [name for study in self.reached.values() for name in study.augmenters]
        for name in listed if self.fidelity.weights == "random" else []:
            if self.augmenters[name].reads_inception:
                raise ValueError(
                    f"augmenters.{name}.fidelity_checks: random Inception weights say nothing about which checkpoint is"
                    " better; give fidelity.weights a file, or fidelity_checks: 0 and select: last"
                )
        return self
