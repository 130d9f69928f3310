"""How every page is filled in: what users wrote is escaped, and a name that a template lacks is an error."""

from collections.abc import Callable
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def filled(template: str, context: dict[str, Any], *packages: str, **filters: Callable[[Any], str]) -> str:
    """A template of one of these packages; the first that has it wins.

    Args:
        filters: further ones that the template uses, by name.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(template).render(context)
