"""Which edits of the code run a stage again: those that can change its numbers."""

import json
import shutil
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from medbench.augmenters.diffusion_sections import CDDPM
from medbench.config import stage_code
from medbench.config.stage_code import MODULES, code_of
from medbench.core import fingerprint as module
from tests.helpers.files import ROOT

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


def test_each_stage_has_a_fingerprint_of_its_own():
    clear()
    hashes = {stage: code_of(stage) for stage in MODULES}
    assert len(set(hashes.values())) == len(set(MODULES.values()))  # the pages of an audit share a module
    assert code_of("train", "annotated_ddpm") != code_of("train")


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
    monkeypatch.setattr(stage_code, "plugged_in", lambda group: points)
    clear()
    assert code_of("train", "copy") == ours  # ours is not replaced, as in medbench.augmenters.augmenter_class
    hashes = {kind: code_of("train", kind) for kind in ("copy", "cddpm", "medienet", "mine")}
    assert len(set(hashes.values())) == len(hashes)
    (plug_in / "far.py").write_text("g = 2\n")
    clear()
    assert code_of("train", "mine") != hashes["mine"]


# Edits of our own code ------------------------------------------------------------------------------------------


PAGES = {"audit_page", "neighbours_page", "tables", "figures", "report"}
NUMBERS = set(MODULES) - PAGES
ON_A_DEVICE = {"train", "sample", "features", "utility"}
SECTIONS = {"train", "sample"}  # stages that get an augmenter's section
TEMPLATES = ["page/templates/report.css", "page/templates/report.html.j2", "audit/templates/audit.html.j2"]


class Copy:
    """A copy of medbench in which an edit shows the stages that it would run again."""

    def __init__(self, folder: Path):
        self.folder = folder / "medbench"
        shutil.copytree(ROOT / "medbench", self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        parse = module._read.__wrapped__
        parsed = cache(lambda name, path, written: parse(name, path))
        self.read = lambda name, path: parsed(name, path, path.stat().st_mtime_ns)  # what was not edited is known
        with pytest.MonkeyPatch.context() as patch:
            self.patch(patch)
            self.before = self.hashes()

    def patch(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(module, "MEDBENCH", self.folder)
        patch.setattr(module, "_read", self.read)

    def hashes(self) -> dict[str, str]:
        for cached in (code_of, module.fingerprint, module._path):
            cached.cache_clear()
        kinds = {"prepare": "folder", "train": "medienet", "sample": "medienet"}
        return {stage: code_of(stage, kinds.get(stage)) for stage in MODULES}

    def changed(self) -> set[str]:
        return {stage for stage, code in self.hashes().items() if code != self.before[stage]}


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Copy:
    return Copy(tmp_path_factory.mktemp("copy"))


@pytest.fixture
def edit(copy, monkeypatch):
    """A function that edits the copy until the test ends, and says which stages would run again."""
    originals = {}

    def rerun(name: str, old: str, new: str) -> set[str]:
        path = copy.folder / name
        originals[path] = path.read_text()
        assert old in originals[path]
        path.write_text(originals[path].replace(old, new, 1))
        return copy.changed()

    copy.patch(monkeypatch)
    yield rerun
    for path, text in originals.items():
        path.write_text(text)
    for cached in (code_of, module.fingerprint, module._path):
        cached.cache_clear()


@pytest.mark.parametrize("name", TEMPLATES)
def test_styles_and_templates_draw_pages_and_compute_nothing_again(edit, name):
    assert edit(f"report/{name}", "{", " {") == {"audit_page", "neighbours_page", "report"}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("run/seals.py", "is damaged", "is broken"),
        ("augmenters/train.py", "needs at least", "wants at least"),
        ("training/loop.py", "lower learning_rate", "give a lower learning_rate"),
        ("system/signals.py", "import", "import json\nimport"),
        ("system/folder_lock.py", "import", "import json\nimport"),
        ("system/gpu_lock.py", "import", "import json\nimport"),
        ("augmenters/diffusion_sections.py", 'label = "MedIENet"', 'label = "MedIE-Net"'),
        ("augmenters/sections.py", "Held(200)", "Held(201)"),
        ("run/logs.py", "BEAT = 30.0", "BEAT = 20.0"),
        ("run/logs.py", "done in", "ended in"),
        ("run/seals.py", "PIECE = 2**20", "PIECE = 2**21"),
        ("report/audit/findings.py", "Not what was published", "Other than published"),
        ("report/audit/findings.py", "a hint, not proof", "no proof"),
    ],
)
def test_words_locks_logs_and_watches_compute_nothing_again(edit, name, old, new):
    assert edit(name, old, new) <= PAGES


@pytest.mark.parametrize(
    ("name", "old", "new", "stages"),
    [
        ("core/rng.py", ">> 1", ">> 2", NUMBERS),
        ("system/threads.py", "threadpool_limits(count)", "threadpool_limits(2 * count)", NUMBERS),
        ("run/sealed_files.py", "np.ascontiguousarray(array)", "np.asfortranarray(array)", NUMBERS),
        ("run/sealed_files.py", "sort_keys=True", "sort_keys=False", NUMBERS),
        ("augmenters/sections.py", "COMPUTES: ClassVar[bool] = True", "COMPUTES: ClassVar[bool] = False", SECTIONS),
        ("system/runtime.py", '"bf16" if capable', '"fp32" if capable', ON_A_DEVICE),
        ("augmenters/diffusion_sections.py", "self.fidelity_checks > 0", "self.fidelity_checks > 1", SECTIONS),
        ("augmenters/batches.py", "import", "import json\nimport", {"sample"}),  # serves sampling alone
        ("augmenters/diffusion.py", "import", "import json\nimport", {"train", "sample"}),  # also checks of a training
        ("utility/scores.py", "import", "import json\nimport", {"utility"}),
        ("utility/metrics/classification.py", "import", "import json\nimport", {"utility"}),
        ("fidelity/metrics/frechet.py", "import", "import json\nimport", {"fidelity"}),
        ("audit/near.py", "import", "import json\nimport", {"audit"}),
    ],
)
def test_what_can_change_a_number_computes_it_again(edit, name, old, new, stages):
    assert edit(name, old, new) - PAGES == stages


@pytest.mark.parametrize("stage", ["fidelity", "utility"])
def test_a_new_metric_computes_its_stage_again_though_nothing_imports_it(edit, copy, monkeypatch, stage):
    folder = copy.folder / stage / "metrics"
    monkeypatch.setattr(import_module(f"medbench.{stage}.metrics"), "__path__", [str(folder)])
    (folder / "another.py").write_text("x = 1\n")
    changed = copy.changed()
    (folder / "another.py").unlink()
    assert changed == {stage}


def test_what_a_section_computes_is_data_of_the_stage(edit, copy):
    """The number of sampling steps is chosen by code, and so another choice must show in what the stage gets."""
    edit("augmenters/schedules.py", "USUAL_STEPS = 50", "USUAL_STEPS = 40")
    show = "from medbench.augmenters.diffusion_sections import CDDPM; print(CDDPM(kind='cddpm').model_dump_json())"
    run = subprocess.run([sys.executable, "-c", show], cwd=copy.folder.parent, capture_output=True, check=True)
    section, edited = CDDPM(kind="cddpm").model_dump(), json.loads(run.stdout)
    assert (section["sample_steps"], edited["sample_steps"]) == (50, 40)
    assert None not in (section["sample_steps"], section["clip_sample"])


def test_what_is_known_of_one_published_set_does_not_prepare_another_again(monkeypatch):
    """An edited citation would otherwise train everything again."""
    read, real = [], module._read
    monkeypatch.setattr(module, "_read", lambda name, path: read.append(name) or real(name, path))
    module.fingerprint.__wrapped__(("medbench.data.prepare", "medbench.data.chest_ct"))
    assert [name for name in read if name.startswith("medbench.data.known.")] == ["medbench.data.known.chest_ct"]
