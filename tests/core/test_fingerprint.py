"""Which edits of the code run a stage again: those that can change its numbers."""

import sys

import pytest

from medbench.config import stage_code
from medbench.config.stage_code import code_of
from medbench.core import fingerprint as module

HELPER = """
from medbench.sections import limit
from medbench.run.logs import say

def f(x):
    if x > 9:
        raise ValueError(f"{x}: too large")
    say(f"{x}: at work")
    return x + limit
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package `medbench` in place of ours: stage imports helper, other is imported by nobody."""
    folder = tmp_path / "medbench"
    folder.mkdir()
    sources = {
        "fingerprint": "",
        "sections": "limit = 1\n",
        "stage": '"""Doc."""\n\ndef run():\n    """Doc."""\n    from medbench.helper import f\n    return f(1)\n',
        "helper": HELPER,
        "other": "x = 1\n",
    }
    for name, text in sources.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(module, "MEDBENCH", folder)

    def edit(name, old, new):
        text = (folder / f"{name}.py").read_text()
        assert old in text
        (folder / f"{name}.py").write_text(text.replace(old, new))

    yield edit
    clear()


def clear():
    for cached in (code_of, module.fingerprint, module._read, module._path):
        cached.cache_clear()


def stage_hash():
    clear()
    return module.fingerprint(("medbench.stage",))


@pytest.mark.parametrize(
    ("name", "old", "new", "reruns"),
    [
        ("stage", "f(1)", "f(2)", True),
        ("helper", "x + limit", "x - limit", True),  # imported inside a function
        ("other", "x = 1", "x = 2", False),
        ("stage", '"""Doc."""', '"""Another."""', False),
        ("helper", "return", "# why\n    return", False),
        ("helper", "x + limit", "(x  +  limit)", False),
        ("helper", "too large", "larger than the limit", False),
        ("helper", "ValueError(", "TypeError(", True),  # another error is caught elsewhere
        ("helper", "at work", "working", False),
        ("helper", "x > 9", "x > 8", True),
        ("sections", "limit = 1", "limit = 2", False),  # settings arrive in the section, not through the code
    ],
)
def test_code_reruns_a_stage_and_a_comment_does_not(package, name, old, new, reruns):
    before = stage_hash()
    package(name, old, new)
    assert (stage_hash() != before) == reruns


# Other packages -------------------------------------------------------------------------------------------------


@pytest.fixture
def plug_in(package, tmp_path, monkeypatch):
    """A package of another author: kind imports net (relatively), deep (two dots up again) and medbench's helper."""
    folder = tmp_path / "site" / "plug"
    (folder / "parts").mkdir(parents=True)
    sources = {
        "__init__": "version = 1\n",
        "kind": "import json\nfrom medbench.helper import f\nfrom .net import width\nfrom .parts import deep\n",
        "net": "from . import widths\nwidth = 3\n",
        "widths": "largest = 9\n",
        "parts/__init__": "from .wide import x\n",
        "parts/wide": "x = 1\n",
        "parts/deep": "from ..far import g\nfrom .. import near\n",
        "far": "g = 1\n",
        "near": "h = 1\n",
        "unused": "x = 1\n",
    }
    for name, text in sources.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "site")
    return folder


def plug_in_hash(name="plug.kind"):
    clear()
    return module.fingerprint(("medbench.stage", name))


IMPORTED = ["kind", "net", "widths", "parts/deep", "parts/__init__", "parts/wide", "far", "near"]


@pytest.mark.parametrize("name", [*IMPORTED, "unused"])
def test_what_a_plug_in_imports_of_its_own_package_counts(plug_in, name):
    before = plug_in_hash()
    (plug_in / f"{name}.py").write_text((plug_in / f"{name}.py").read_text() + "edited = True\n")
    assert (plug_in_hash() != before) == (name in IMPORTED)


def test_what_it_imports_of_ours_counts_too(plug_in, package):
    before = plug_in_hash()
    package("helper", "x + limit", "x - limit")
    assert plug_in_hash() != before


@pytest.mark.parametrize(
    "text",
    [
        "from medbench.augmenters import f\n",
        "import medbench.augmenters as ma\n",
        "from medbench import augmenters\n",
    ],
)
def test_what_our_package_passes_on_counts_however_it_is_imported(plug_in, package, text):
    folder = plug_in.parents[1] / "medbench/augmenters"
    folder.mkdir()
    (folder / "__init__.py").write_text("if False:\n    from medbench.helper import f\n")
    (plug_in / "kind.py").write_text(text)
    ignored = frozenset({"medbench.augmenters"})

    def code() -> str:
        clear()
        return module.fingerprint(("plug.kind",), ignored)

    before = code()
    package("helper", "x + limit", "x - limit")
    assert code() != before


def test_a_plug_ins_module_is_none_of_our_sections(plug_in):
    (plug_in / "kind.py").write_text("from plug import cross_sections\n")
    (plug_in / "cross_sections.py").write_text("def f():\n    return 1\n")
    before = plug_in_hash()
    (plug_in / "cross_sections.py").write_text("def f():\n    return 2\n")
    assert plug_in_hash() != before


def test_its_comments_do_not_count_and_it_is_not_run(plug_in):
    before = plug_in_hash()
    (plug_in / "net.py").write_text("# why\n" + (plug_in / "net.py").read_text())
    (plug_in / "unused.py").write_text("raise RuntimeError\n")
    assert plug_in_hash() == before
    assert "plug" not in sys.modules


@pytest.mark.parametrize("form", ["module", "namespace"])
def test_a_single_file_and_a_package_without_init_count_too(plug_in, form):
    path, name = (plug_in.parent / "single.py", "single") if form == "module" else (plug_in / "kind.py", "plug.kind")
    if form == "module":
        path.write_text("x = 1\n")
    else:
        (plug_in / "__init__.py").unlink()
    before = plug_in_hash(name)
    path.write_text("x = 2\n")
    assert plug_in_hash(name) != before


def test_a_stage_has_the_code_of_the_kind_that_it_runs(plug_in, monkeypatch):
    points = {"mine": "plug.kind:Mine", "copy": "plug.kind:Mine"}
    monkeypatch.undo()  # ours, with the package's entry points
    monkeypatch.syspath_prepend(plug_in.parent)
    ours = code_of("train", "copy")
    monkeypatch.setattr(stage_code.augmenters, "plugged_in", lambda: points)
    clear()
    assert code_of("train", "copy") == ours  # ours is not replaced, as in medbench.augmenters.augmenter_class
    hashes = {kind: code_of("train", kind) for kind in ("copy", "cddpm", "medienet", "mine")}
    assert len(set(hashes.values())) == len(hashes)
    (plug_in / "far.py").write_text("g = 2\n")
    clear()
    assert code_of("train", "mine") != hashes["mine"]
