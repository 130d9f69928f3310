"""A hash of the code behind a stage, so that editing the code reruns the stage and a comment does not."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from medbench import augmenters, data
from medbench.registry import module_of, plugged_in

STAGES = {
    "fetch": "medbench.data.fetch",
    "prepare": "medbench.data.prepare",
    "audit": "medbench.audit.stage",
    "train": "medbench.training.train",
    "sample": "medbench.augmenters.sample",
    "features": "medbench.fidelity.features",
    "fidelity": "medbench.fidelity.fidelity",
    "neighbours": "medbench.audit.neighbours_stage",
    "utility": "medbench.utility.utility",
    "tables": "medbench.report.tables.write",
    "figures": "medbench.report.figures.write",
    "report": "medbench.report.page.write",
}
# What a stage gets from these is in its section, or changes no number; the kind that a registry finds is added by name.
IGNORED = {
    "medbench.augmenters",
    "medbench.augmenters.any_kind",
    "medbench.augmenters.checked",
    "medbench.augmenters.inherit",
    "medbench.augmenters.model_card",
    "medbench.augmenters.sections",
    "medbench.config",
    "medbench.cuda_devices",
    "medbench.data",
    "medbench.data.sections",
    "medbench.devices",
    "medbench.errors",
    "medbench.fingerprint",
    "medbench.leases",
    "medbench.ownership",
    "medbench.progress",
    "medbench.registry",
    "medbench.run_lock",
    "medbench.sections",
    "medbench.stages",
    "medbench.training.launch",
}
# An augmenter's class holds both fit and sample; these modules serve only the latter, and train leaves them out.
SAMPLERS = {"medbench.augmenters.batches"}


@cache
def code_of(stage: str, kind: str | None = None) -> str:
    """Fingerprint of a stage's code, with that of the dataset's or augmenter's kind where the stage runs one."""
    registry = data.KINDS if stage == "prepare" else plugged_in(augmenters.GROUP) | augmenters.KINDS
    modules = [STAGES[stage], *([module_of(registry[kind])] if kind else [])]
    return fingerprint(*modules, without=frozenset(SAMPLERS if stage == "train" else ()))


@cache
def fingerprint(*modules: str, without: frozenset[str] = frozenset()) -> str:
    """Hash of the syntax trees, without docstrings, of these modules and of all of medbench that they import.

    Of another package, a plug-in, all that the named module imports from its own package counts as well.

    What a folder of modules keeps in `templates` counts as theirs.

    Args:
        modules: by full name.
        without: modules that are left out, and what only they import.
    """
    seen: dict[str, str] = {}
    waiting = list(modules)
    packages = {"medbench"} | {module.partition(".")[0] for module in modules}
    while waiting:
        module = waiting.pop()
        path = _path(module)
        if path and module not in seen and module not in IGNORED | without:
            names, content = _read(module, path)
            waiting += [name for name in names if name.partition(".")[0] in packages]
            seen |= content
    text = "\n".join(f"{name} {seen[name]}" for name in sorted(seen))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _read(module: str, path: Path) -> tuple[list[str], dict[str, str]]:
    """What a module imports, and its content: its syntax tree as text and the templates beside it, by name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = list(_imported(tree, module))
    content = {module: ast.dump(_without_docstrings(tree))}
    return names, content | {file.name: file.read_text(encoding="utf-8") for file in path.parent.glob("templates/*")}


def _imported(tree: ast.AST, module: str) -> Iterator[str]:
    """Full names of modules, and of what may be one, in any import of a module, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for base in _bases(module, node.level):
                whole = ".".join(part for part in (base, node.module) if part)
                yield from (whole, *(f"{whole}.{alias.name}" for alias in node.names))


def _bases(module: str, level: int) -> list[str]:
    """Where an import of `level` dots starts: `from . import x` in a.b names a.x, in the __init__ of a package a.b.x.

    Which of them it is does not matter: both are tried.
    """
    parts = module.split(".")
    return [".".join(parts[: max(len(parts) - above, 0)]) for above in (level - 1, level)] if level else [""]


@cache
def _path(module: str) -> Path | None:
    """The file of a module, or None where the name is not a module but something in one."""
    package, *parts = module.split(".")
    root = Path(__file__).parent if package == "medbench" else _package(package)
    if root is None:
        return None
    below = root.joinpath(*parts)
    candidates = (below.with_suffix(".py"), below / "__init__.py") if parts else (root / "__init__.py", root)
    return next((path for path in candidates if path.is_file()), None)


def _package(name: str) -> Path | None:
    """The folder of another package, or its file where it is a single module."""
    found = find_spec(name)
    if found is None:
        return None
    if found.submodule_search_locations:  # also of a namespace package, which has no __init__
        return Path(next(iter(found.submodule_search_locations)))
    return Path(found.origin) if found.origin else None


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
