"""The config as its files and the command line say it, entry by entry."""

from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from medbench.core.errors import UserError

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
    """Refuses a key that stands twice, of which YAML would drop the first without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [(key.value, key.start_mark) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for place, (key, mark) in enumerate(keys):
            if any(key == other for other, _ in keys[:place]):
                raise yaml.constructor.ConstructorError(None, None, f"{key} is said twice; keep one of them", mark)
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
