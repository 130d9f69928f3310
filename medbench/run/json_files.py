"""JSON files of a run, which hold its numbers and what was asked for."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medbench.run.files import replacing
from medbench.run.seals import JSON, UNSEALED, require_sealed, seal


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """With the hash of what is written as its last entry, see medbench.run.seals."""
    body = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    comma = "," if value else ""
    with replacing(Path(path)) as temporary:
        temporary.write_text(f'{body[:-1].rstrip()}{comma}\n "seal": "{UNSEALED}"\n}}\n', encoding="utf-8")
        seal(temporary, JSON)


def read_json(path: Path) -> Any:
    """What `write_json` wrote.

    Raises:
        UserError: no such file, or it was changed since.
    """
    require_sealed(Path(path), JSON)
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    return {key: value for key, value in content.items() if key != "seal"}
