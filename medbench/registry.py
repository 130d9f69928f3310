"""Kinds found by name: a registry maps each to "module:object", imported only when it is asked for."""

from importlib import import_module
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
