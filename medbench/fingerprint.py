"""A hash of the code behind a stage, so that editing the code reruns the stage and a comment does not."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from medbench import augmenters, data
from medbench.registry import module_of

STAGES = {
    "fetch": "medbench.data.fetch",
    "prepare": "medbench.data.prepare",
    "train": "medbench.training.train",
    "sample": "medbench.augmenters.sample",
    "features": "medbench.fidelity.features",
    "fidelity": "medbench.fidelity.fidelity",
    "utility": "medbench.utility.utility",
    "tables": "medbench.report.tables.write",
    "figures": "medbench.report.figures.write",
    "report": "medbench.report.page.write",
}
# What a stage gets from these is in its section, or changes no number; the kind that a registry finds is added by name.
IGNORED = {
    "medbench.augmenters",
    "medbench.config",
    "medbench.data",
    "medbench.errors",
    "medbench.fingerprint",
    "medbench.progress",
    "medbench.registry",
    "medbench.stages",
}
# An augmenter's class holds both fit and sample; these modules serve only the latter, and train leaves them out.
SAMPLERS = {"medbench.augmenters.ancestral"}


def code_of(stage: str, kind: str | None = None) -> str:
    """Fingerprint of a stage's code, with that of the dataset's or augmenter's kind where the stage runs one."""
    registry = data.KINDS if stage == "prepare" else augmenters.KINDS
    modules = [STAGES[stage], *([module_of(registry[kind])] if kind else [])]
    return fingerprint(*modules, without=frozenset(SAMPLERS if stage == "train" else ()))


@cache
def fingerprint(*modules: str, without: frozenset[str] = frozenset()) -> str:
    """Hash of the syntax trees, without docstrings, of these modules and of all of medbench that they import.

    What a folder of modules keeps in `templates` counts as theirs.

    Args:
        modules: by full name.
        without: modules that are left out, and what only they import.
    """
    seen: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = _path(module)
        if path and module not in seen and module not in IGNORED | without:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            waiting += _imported(tree)
            seen[module] = ast.dump(_without_docstrings(tree))
            seen |= {str(file.name): file.read_text(encoding="utf-8") for file in path.parent.glob("templates/*")}
    text = "\n".join(f"{name} {seen[name]}" for name in sorted(seen))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _imported(tree: ast.AST) -> Iterator[str]:
    """The modules of medbench named in any import, also inside functions."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if name.startswith("medbench."))


@cache
def _path(module: str) -> Path | None:
    """The file of a module, or None where the name is not a module but something in one."""
    root = Path(__file__).parent.parent / Path(*module.split("."))
    candidates = (root.with_suffix(".py"), root / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:]
    return tree
