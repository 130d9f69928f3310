"""A config as its files and the command line say it, merged and checked: all others call `load` and `parse`."""

import json
import os
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from medbench.config.study import Config
from medbench.core.errors import UserError
from medbench.core.sections import NAME, Section

DEFINED = ("datasets", "augmenters")  # where an entry with a `kind` is a definition of its own


def read_config(files: Iterable[Path], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """config.yaml, changed by each further file and then by what `--config` says.

    Mappings are merged. But an entry of `datasets` or `augmenters` that states its `kind` takes nothing over from an
    entry of the same name, as one's own `chest_ct` is not config.yaml's.

    Raises:
        UserError: a file that cannot be read, is no YAML, or says the same key twice.
    """
    config: dict[str, Any] = {}
    for part in [*map(_read, files), arguments]:
        config = _merged(config, part)
    return config


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any], where: tuple[str, ...] = ()) -> dict[str, Any]:
    whole = dict(base)
    for key, value in changes.items():
        below = base.get(key)
        defines = len(where) == 1 and where[0] in DEFINED and isinstance(value, Mapping) and "kind" in value
        if isinstance(below, Mapping) and isinstance(value, Mapping) and not defines:
            value = _merged(below, value, (*where, key))
        whole[key] = value
    return whole


class _Loader(yaml.SafeLoader):
    """Refuses a repeated key, of which YAML would silently drop the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [(key.value, key.start_mark) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for position, (key, mark) in enumerate(keys):
            if any(key == earlier for earlier, _ in keys[:position]):
                raise yaml.constructor.ConstructorError(None, None, f"{key} is given twice; keep one of them", mark)
        return super().construct_mapping(node, deep)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = _Loader(path.read_bytes()).get_single_data()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror} (expected a config, YAML or JSON)") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{path}{line}: {problem}") from error
    if not isinstance(content, Mapping | None):
        raise UserError(f"{path}: holds no config (expected keys such as name, datasets, studies, run)")
    return content or {}


PATH_BEGINS = re.compile(r"^(~\w*|\$\w+)(/|$)")
UNSET_VARIABLE = re.compile(r"\$\{(\w+)\}")
ModelT = TypeVar("ModelT", bound=BaseModel)


def load(raw: Mapping[str, Any]) -> Config:
    """The checked config.

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
    return parse(Config, raw, "config", fill=False)


def parse(model: type[ModelT], raw: Any, where: str, fill: bool = True) -> ModelT:
    """`raw` checked against a section's model, environment variables filled in.

    Raises:
        UserError: the first thing that is wrong, in one line.
    """
    filled = _expand(raw) if fill else raw
    try:
        return model.model_validate(filled)
    except ValidationError as error:
        raise UserError(f"{where}: {_explained(error, filled)}") from error


def parse_text(model: type[ModelT], text: str, where: str) -> ModelT:
    """The same from JSON text, or from the .json or .yaml file that the text names."""
    try:
        return parse(model, _parsed(text if text.lstrip().startswith("{") else Path(text).read_text("utf-8")), where)
    except OSError as error:
        raise UserError(f"{where}: {text}: {error.strerror} (expected JSON, or a .json or .yaml file)") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{where}: is neither JSON nor YAML: {str(error).splitlines()[0]}") from error


def _parsed(text: str) -> Any:
    """YAML reads JSON as well, but takes minutes for the section of a large study."""
    try:
        return json.loads(text)
    except ValueError:
        return yaml.safe_load(text)


def _explained(error: ValidationError, raw: Any) -> str:
    """The first of the errors that `raw` caused in one line, and how many more there are."""
    # A default that could not be made follows from other errors.
    first, *others = [item for item in error.errors() if item["type"] != "default_factory_not_called"]
    where = ".".join(_written_location(first["loc"], raw))
    match first["type"]:
        case "value_error":
            what = str(first["ctx"]["error"])
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


def _written_location(location: Sequence[str | int], raw: Any) -> list[str]:
    """Pydantic's location without the tags that it adds for unions, which the user never wrote."""
    written, here = [], raw
    for position, part in enumerate(location):
        is_key = isinstance(here, Mapping) and part in here
        # A validator's function, or a kind; but what stands last may be a missing key.
        is_last = position == len(location) - 1
        is_kind = isinstance(here, Mapping) and not is_key and (not is_last or part == here.get("kind"))
        if "[" in str(part) or is_kind:
            continue
        written.append(str(part) if str(part).isprintable() else repr(part))
        is_item = isinstance(here, list) and isinstance(part, int) and part < len(here)
        here = here[part] if is_key or is_item else None
    return written


def _require_variables(config: Config) -> None:
    wanted: dict[str, Section] = {}
    for study in config.reached.values():
        wanted |= {"fidelity": config.fidelity} if study.augmenters else {}
        wanted |= {"utility": config.utility} if study.arms and config.utility.init == "imagenet" else {}
        wanted |= {f"datasets.{name}": config.datasets[name] for name in study.datasets}
        firsts = [config.augmenters[name].reads_model for name in study.augmenters]
        wanted |= {f"augmenters.{name}": config.augmenters[name] for name in (*study.augmenters, *firsts) if name}
    for where, section in wanted.items():
        unset = UNSET_VARIABLE.search(section.model_dump_json())
        if unset:
            raise UserError(f"config: {where}: the environment variable {unset[1]} is not set (export {unset[1]}=...)")


def _require_licences(config: Config) -> None:
    """Before a download starts."""
    for name in config.reached_datasets:
        if licence := config.datasets[name].licence_to_accept:
            what = f"may be used under {licence} alone; if you agree, say accept_licence: {licence}"
            raise UserError(f"config: datasets.{name}: {what}")


def _require_seeded(config: Config) -> None:
    """Images that are the same for every generator seed would count as if they were made anew."""
    for where, study in config.reached.items():
        unseeded = [name for name in study.augmenters if not config.augmenters[name].SEEDED]
        if unseeded and len(study.generator_seeds) > 1:
            raise UserError(
                f"config: studies.{where}.generator_seeds: the images of {unseeded[0]} are the same for every seed;"
                " list it in a study with one generator seed"
            )


def _expand(value: Any) -> Any:
    """Fills ${VARIABLE} in every string, and ~ or $VARIABLE where a path begins; what is not set stays as it is."""
    if isinstance(value, str):
        filled = UNSET_VARIABLE.sub(lambda match: os.environ.get(match[1], match[0]), value)
        return os.path.expandvars(os.path.expanduser(filled)) if PATH_BEGINS.match(filled) else filled
    if isinstance(value, Mapping):
        return {key: _expand(item) for key, item in value.items()}
    return [_expand(item) for item in value] if isinstance(value, list) else value
