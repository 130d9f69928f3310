"""A hash of the code behind a stage, so that editing the code reruns the stage and a comment does not."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

# What a stage gets from these is in its section, or changes no number.
IGNORED = {"medbench.config", "medbench.errors", "medbench.progress", "medbench.cli"}


@cache
def fingerprint(*modules: str) -> str:
    """Hash of the syntax trees, without docstrings, of these modules and of all of medbench that they import."""
    seen: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = _path(module)
        if path and module not in seen:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            waiting += _imported(tree)
            seen[module] = ast.dump(_without_docstrings(tree))
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
        yield from (name for name in names if name.startswith("medbench.") and name not in IGNORED)


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
