"""Kinds by name: a registry maps each to "module:object", which is imported only when it is needed."""

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any


def module_of(entry: str) -> str:
    """The module of an entry.

    >>> module_of("medbench.data.npz:load_npz")
    'medbench.data.npz'
    """
    return entry.partition(":")[0]


def imported(entry: str) -> Any:
    """The object that an entry names."""
    return getattr(import_module(module_of(entry)), entry.partition(":")[2])


def plugged_in(group: str) -> dict[str, str]:
    """Kinds that other installed packages bring: the entry points of a group."""
    return {point.name: point.value for point in sorted(entry_points(group=group), key=lambda point: point.name)}
