"""A hash of the code behind a stage, so that editing the code reruns the stage and a comment does not."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any

MEDBENCH = Path(__file__).parents[1]
# How our modules of sections end: a stage gets their fields and validators as data; what else they hold is code.
SECTIONS_END = "sections"
# Arguments by which a metric is shown: tables and pages count them, and its docstring, as no other stage does.
SHOWN = {"better", "digits", "source"}


@cache
def fingerprint(modules: tuple[str, ...], without: frozenset[str] = frozenset(), shows: bool = False) -> str:
    """Hash of what computes in these modules and in all of medbench that they import.

    That is their syntax trees, without docstrings, the words of errors and lines for the log, and the templates beside
    them. Of a plug-in's package, all that the named module imports counts too.

    Args:
        modules: by full name.
        without: modules that are left out, and what only they import.
        shows: whether the stage shows numbers, and so what a metric says of itself.
    """
    seen: dict[str, str] = {}
    waiting = list(modules)
    packages = {"medbench"} | {module.partition(".")[0] for module in modules}
    while waiting:
        module = waiting.pop()
        path, names = _path(module), list[str]()
        if path is None and module.rpartition(".")[0] in without:
            names = _source(module)
        elif path and module not in seen and module not in without:
            names, seen[module] = _read(module, path, shows)
            seen |= {file.name: file.read_text(encoding="utf-8") for file in path.parent.glob("templates/*")}
        waiting += [name for name in names if name.partition(".")[0] in packages]
    text = "\n".join(f"{name} {seen[name]}" for name in sorted(seen))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _read(module: str, path: Path, shows: bool) -> tuple[list[str], str]:
    """What a module imports, and a hash of what it computes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    is_sections = module.startswith("medbench.") and module.endswith(SECTIONS_END)
    if is_sections:
        parts = [part for section in tree.body if isinstance(section, ast.ClassDef) for part in section.body]
        tree.body = [part for part in parts if not _is_field(part)]
    computing = _Computing(shows)
    text = ast.dump(computing.visit(tree))
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    names = [] if is_sections else list(_names(computing.imports, package))
    return names, hashlib.sha256(text.encode()).hexdigest()


def _source(name: str) -> list[str]:
    """Where a name comes from that a package passes on whose __init__ itself does not count; of `package.*` all."""
    package, _, attribute = name.rpartition(".")
    path = _path(package)
    names = _read(package, path, False)[0] if path and path.stem == "__init__" else []
    return names if attribute == "*" else [each.rpartition(".")[0] for each in names if each.endswith(f".{attribute}")]


def _names(imports: list[ast.Import | ast.ImportFrom], package: str) -> Iterator[str]:
    """Full names of modules, and of what may be one."""
    for node in imports:
        if isinstance(node, ast.Import):
            yield from (name for alias in node.names for name in (alias.name, f"{alias.name}.*"))
        else:
            source = resolve_name("." * node.level + (node.module or ""), package)
            yield source
            yield from (f"{source}.{alias.name}{end}" for alias in node.names for end in ("", ".*"))


@cache
def _path(module: str) -> Path | None:
    """The file of a module, or None where the name is not a module but something in one."""
    package, *parts = module.split(".")
    root = MEDBENCH
    if package != "medbench":
        spec = find_spec(package)
        folders = spec.submodule_search_locations if spec else None  # also of a package without __init__
        root = Path(folders[0]) if folders else Path((spec and spec.origin) or package).with_suffix("")
    below = root.joinpath(*parts)
    return next((path for path in (below.with_suffix(".py"), below / "__init__.py") if path.is_file()), None)


def _is_field(part: ast.stmt) -> bool:
    """Of a class of a section, all but methods and constants in capitals; those in lower case say what a kind is."""
    if isinstance(part, ast.FunctionDef):
        return any("validator" in ast.unparse(decorator) for decorator in part.decorator_list)
    if isinstance(part, ast.Assign | ast.AnnAssign):
        names = part.targets if isinstance(part, ast.Assign) else [part.target]
        return not all(ast.unparse(name).lstrip("_").isupper() for name in names)
    return False


class _Computing(ast.NodeTransformer):
    """Removes docstrings, what an error says, and what goes to the log; collects the imports, also those in functions.

    Of a raise the class stays, by which the error is caught.
    """

    def __init__(self, shows: bool):
        self.shows = shows
        self.imports: list[ast.Import | ast.ImportFrom] = []

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.Import | ast.ImportFrom):
            self.imports.append(node)
        # No expression holds a statement, and to enter them takes long, at every start of Snakemake.
        return node if isinstance(node, ast.expr) else super().visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_docstring = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        is_for_log = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "say"
        return None if is_docstring or is_for_log else node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return ast.Raise(exc=node.exc.func if isinstance(node.exc, ast.Call) else node.exc, cause=None)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        docstring = node.body[0]
        self.generic_visit(node)
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("metric"):
                call.keywords = [keyword for keyword in call.keywords if self.shows or keyword.arg not in SHOWN]
                node.body[:0] = [docstring] if self.shows else []
        return node
