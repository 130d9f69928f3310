"""Metrics register themselves: the stages compute what is registered, and tables show it as its registration says."""

import inspect
import pkgutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, TypeVar

import numpy as np

from medbench.core.errors import UserError

Function = TypeVar("Function", bound=Callable[..., float])


@dataclass(frozen=True, kw_only=True)
class Metric:
    name: str  # in the column `metric` of every table
    better: Literal["lower", "higher"]
    digits: int | None  # after the point; None: three significant ones, for values of any size
    needs: tuple[str, ...]  # what it is computed from, by name; a stage computes it if it can give all of these
    source: str  # the paper that defines it
    function: Callable[..., float]
    floor: bool = False  # a distance that fidelity also takes between two sets of real images
    mean: bool = False  # of one class: utility also takes the mean over classes

    @property
    def place(self) -> str:
        return f"{self.function.__module__}.{self.function.__qualname__}"

    @property
    def sentence(self) -> str:
        """What it is: the first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def of(self, given: Mapping[str, Any]) -> float:
        """Its value, from all that a stage can give.

        Raises:
            UserError: the function gave no finite number, which no table can hold.
        """
        value = self.function(**{name: given[name] for name in self.needs})
        if not np.isfinite(value):
            raise UserError(
                f"metric {self.name}: {self.place} gave {value}; let it raise UserError where it is not defined"
            )
        return value

    def between(self, real: np.ndarray, fake: np.ndarray) -> float:
        """The same of one that needs two sets of features."""
        return self.of({"real": real, "fake": fake})


REGISTERED: dict[str, Metric] = {}
# What the stages can give a metric, see the docstrings of fidelity.metrics and utility.metrics.
OF_ONE_CLASS = {"positive", "negative", "score", "chosen", "decided"}
GIVEN = ({"real", "fake"}, {"labels", "scores", "predicted"}, {"grades", "scores", "predicted"}, OF_ONE_CLASS)


def metric(name: str, **declared: Any) -> Callable[[Function], Function]:
    """Registers a pure function whose arguments include all of `needs`; `declared` are the other fields of Metric.

    Raises:
        ValueError: the name is taken by another function, or no stage gives all that it needs.
    """

    def register(function: Function) -> Function:
        declaration = Metric(name=name, function=function, **declared)
        if not any(set(declaration.needs) <= given for given in GIVEN):
            stages = "; or ".join(", ".join(sorted(given)) for given in GIVEN)
            raise ValueError(f"metric {name!r}: no stage gives all of {', '.join(declaration.needs)} (given: {stages})")
        known = REGISTERED.setdefault(name, declaration)
        if known.place != declaration.place:
            raise ValueError(f"metric {name!r}: registered by {known.place} too; choose another")
        REGISTERED[name] = declaration
        return function

    return register


def computable(given: Collection[str]) -> list[Metric]:
    """The registered metrics that need nothing else, in the order of their modules, and of definition in each."""
    metrics = [metric for metric in REGISTERED.values() if set(metric.needs) <= set(given)]
    return sorted(metrics, key=lambda metric: metric.function.__module__)


def modules_in(package: str) -> list[str]:
    """Full names of a package and of all modules that lie in its folder, sorted."""
    folder = import_module(package).__path__
    return [package, *sorted(f"{package}.{module.name}" for module in pkgutil.iter_modules(folder))]


def register_all(package: str) -> None:
    """Imports every module of a folder of metrics, so that each registers its own."""
    for module in modules_in(package):
        import_module(module)
