"""A hash of the code behind a stage, so that editing the code reruns the stage and a comment does not."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

MEDBENCH = Path(__file__).parents[1]
# How our modules of sections end: a stage gets their fields and validators as data; what else they hold is code.
SECTIONS_END = "sections"
# Arguments by which a metric is shown: tables and pages count them, and its docstring, as no other stage does.
SHOWN = {"better", "digits", "source"}


@cache
def fingerprint(
    modules: tuple[str, ...], without: frozenset[str] = frozenset(), templates: bool = False, shows: bool = False
) -> str:
    """Hash of what computes in these modules and in all of medbench that they import.

    That is their syntax trees, without docstrings, the words of errors and lines for the log. Of a plug-in's package,
    all that the named module imports counts too.

    Args:
        modules: by full name.
        without: modules that are left out, and what only they import.
        templates: whether the files in a folder's `templates` count for its modules.
        shows: whether the stage shows numbers, and so what a metric says of itself.
    """
    seen: dict[str, str] = {}
    waiting = list(modules)
    packages = {"medbench"} | {module.partition(".")[0] for module in modules}
    while waiting:
        module = waiting.pop()
        path = _path(module)
        if path is None and module.rpartition(".")[0] in without:
            waiting += _source(module)
        if path and module not in seen and module not in without:
            names, seen[module] = _read(module, path, shows)
            waiting += [name for name in names if name.partition(".")[0] in packages]
            files = path.parent.glob("templates/*") if templates else ()
            seen |= {file.name: file.read_text(encoding="utf-8") for file in files}
    text = "\n".join(f"{name} {seen[name]}" for name in sorted(seen))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _read(module: str, path: Path, shows: bool) -> tuple[list[str], str]:
    """What a module imports, and a hash of what it computes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports: list[ast.Import | ast.ImportFrom] = []
    ours = module.startswith("medbench.")
    if ours and module.endswith(SECTIONS_END):
        tree = _without_fields(tree)
        _strip(tree, [], shows)
    else:
        _strip(tree, imports, shows)
    return list(_names(imports, module)), hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@cache
def _source(name: str) -> list[str]:
    """The module that a name comes from which a package passes on, where its __init__ itself does not count.

    Args:
        name: `package.name`, or `package.*` for all modules that it passes names on from.
    """
    package, _, attribute = name.rpartition(".")
    path = _path(package)
    tree = ast.parse(path.read_text(encoding="utf-8")) if path and path.name == "__init__.py" else ast.Module([], [])
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return [node.module or "" for node in imports if attribute in ["*", *(alias.name for alias in node.names)]]


def _names(imports: list[ast.Import | ast.ImportFrom], module: str) -> Iterator[str]:
    """Full names of modules, and of what may be one."""
    for node in imports:
        if isinstance(node, ast.Import):
            yield from (name for alias in node.names for name in (alias.name, f"{alias.name}.*"))
        else:
            for base in _bases(module, node.level):
                source = ".".join(part for part in (base, node.module) if part)
                yield source
                yield from (f"{source}.{alias.name}{end}" for alias in node.names for end in ("", ".*"))


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
    root = MEDBENCH if package == "medbench" else _package(package)
    if root is None:
        return None
    below = root.joinpath(*parts)
    candidates = (below.with_suffix(".py"), below / "__init__.py") if parts else (root / "__init__.py", root)
    return next((path for path in candidates if path.is_file()), None)


def _package(name: str) -> Path | None:
    """The folder of another package, or its file where it is a single module."""
    spec = find_spec(name)
    if spec is None:
        return None
    if spec.submodule_search_locations:  # also of a namespace package, which has no __init__
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin) if spec.origin else None


def _without_fields(tree: ast.Module) -> ast.Module:
    """Of a module of sections: methods and constants in capitals; those in lower case say what a kind is."""
    parts = [part for section in tree.body if isinstance(section, ast.ClassDef) for part in section.body]
    return ast.Module(body=[part for part in parts if not _is_field(part)], type_ignores=[])


def _is_field(part: ast.stmt) -> bool:
    if isinstance(part, ast.FunctionDef):
        return any("validator" in ast.unparse(decorator) for decorator in part.decorator_list)
    if isinstance(part, ast.Assign | ast.AnnAssign):
        names = part.targets if isinstance(part, ast.Assign) else [part.target]
        return not all(ast.unparse(name).lstrip("_").isupper() for name in names)
    return False


BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # where statements hold other statements


def _strip(node: ast.AST, imports: list[ast.Import | ast.ImportFrom], shows: bool) -> None:
    """Removes docstrings, what an error says, and what goes to the log; collects the imports, also those in functions.

    Of a raise the class stays, by which the error is caught. Only blocks are entered, as no expression holds a
    statement: an entire tree takes five times as long, at every start of Snakemake.
    """
    for name in BLOCKS:
        block = getattr(node, name, None)
        if isinstance(block, list):
            is_metric = _metric_of(node) is not None
            block[:] = [_without_words(part) for part in block if (shows and is_metric) or not _is_word(part)]
            imports += [part for part in block if isinstance(part, ast.Import | ast.ImportFrom)]
            for part in block:
                if registration := _metric_of(part):
                    registration.keywords = [k for k in registration.keywords if shows or k.arg not in SHOWN]
                _strip(part, imports, shows)


def _metric_of(part: ast.AST) -> ast.Call | None:
    """The call by which a function is registered as a metric, where it is one."""
    decorators = part.decorator_list if isinstance(part, ast.FunctionDef) else []
    calls = [each for each in decorators if isinstance(each, ast.Call) and ast.unparse(each.func).endswith("metric")]
    return calls[0] if calls else None


def _is_word(part: ast.AST) -> bool:
    """Whether a statement is a docstring or a line of the log."""
    if not isinstance(part, ast.Expr):
        return False
    if isinstance(part.value, ast.Call):
        return ast.unparse(part.value.func) == "say"
    return isinstance(part.value, ast.Constant) and isinstance(part.value.value, str)


def _without_words(part: ast.AST) -> ast.AST:
    if not isinstance(part, ast.Raise):
        return part
    return ast.Raise(exc=part.exc.func if isinstance(part.exc, ast.Call) else part.exc, cause=None)
