"""An error of pydantic's as one line for a user: where, what, what is allowed."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from medbench.core.sections import NAME


def explain(error: ValidationError, raw: Any) -> str:
    """The first of the errors that `raw` caused, and how many more there are."""
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
