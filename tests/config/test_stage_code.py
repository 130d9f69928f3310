"""Edits of medbench's own code: which stages they run again."""

import json
import shutil
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from medbench import augmenters, data
from medbench.augmenters.diffusion_sections import CDDPM
from medbench.config.stage_code import MODULES, code_of
from medbench.core import fingerprint
from tests.helpers.files import ROOT

SHOW = {"tables", "figures", "report"}
PAGES = {"audit_page", "neighbours_page", "tables", "figures", "report"}
NUMBERS = set(MODULES) - PAGES
ON_A_DEVICE = {"train", "sample", "features", "utility"}
SECTIONS = {"train", "sample"}  # stages that get an augmenter's section
TEMPLATES = ["page/templates/report.css", "page/templates/report.html.j2", "audit/templates/audit.html.j2"]


def clear() -> None:
    for cached in (code_of, fingerprint.fingerprint, fingerprint._path):
        cached.cache_clear()


class Copy:
    """A copy of medbench in which an edit shows the stages that it would run again."""

    def __init__(self, folder: Path):
        self.folder = folder / "medbench"
        shutil.copytree(ROOT / "medbench", self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        parse = fingerprint._read.__wrapped__
        parsed = cache(lambda name, path, shows, written: parse(name, path, shows))
        self.read = lambda name, path, shows: parsed(
            name, path, shows, path.stat().st_mtime_ns
        )  # what was not edited is known
        with pytest.MonkeyPatch.context() as patch:
            self.patch(patch)
            self.before = self.hashes()

    def patch(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(fingerprint, "MEDBENCH", self.folder)
        patch.setattr(fingerprint, "_read", self.read)

    def hashes(self) -> dict[str, str]:
        clear()
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
        text = path.read_text()
        originals.setdefault(path, text)
        assert old in text
        path.write_text(text.replace(old, new, 1))
        return copy.changed()

    copy.patch(monkeypatch)
    yield rerun
    for path, text in originals.items():
        path.write_text(text)
    clear()


@pytest.mark.parametrize("name", TEMPLATES)
def test_styles_and_templates_draw_pages_and_compute_nothing_again(edit, name):
    assert edit(f"report/{name}", "{", " {") == {"audit_page", "neighbours_page", "report"}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("run/records.py", "is damaged", "is broken"),
        ("augmenters/train.py", "needs at least", "wants at least"),
        ("training/loop.py", "lower learning_rate", "give a lower learning_rate"),
        ("system/signals.py", "import", "import json\nimport"),
        ("system/folder_lock.py", "import", "import json\nimport"),
        ("system/gpu_lock.py", "import", "import json\nimport"),
        ("augmenters/diffusion_sections.py", 'label = "MedIENet"', 'label = "MedIE-Net"'),
        ("augmenters/sections.py", "Held(200)", "Held(201)"),
        ("augmenters/model_card.md.j2", "Not a medical device", "No medical device"),
        ("run/logs.py", "BEAT = 30.0", "BEAT = 20.0"),
        ("run/logs.py", "done in", "ended in"),
        ("run/records.py", "PACKAGES = (", 'PACKAGES = ("pip", '),
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
        ("run/formats.py", "np.ascontiguousarray(array)", "np.asfortranarray(array)", NUMBERS),
        ("run/formats.py", "sort_keys=True", "sort_keys=False", NUMBERS),
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
    assert changed == {stage, *SHOW}


@pytest.mark.parametrize(("old", "new"), [("digits=3", "digits=4"), ("Share of pairs", "The share of pairs")])
def test_how_a_metric_is_shown_draws_tables_and_pages_and_computes_nothing_again(edit, old, new):
    assert edit("utility/metrics/classification.py", old, new) == SHOW


@pytest.mark.parametrize(("old", "new"), [("TAIL = 2**16", "TAIL = 2**17"), ("59.95", "59.9")])
def test_how_a_log_is_read_draws_the_report_again_and_computes_nothing(edit, old, new):
    assert "report" in edit("run/job_logs.py", old, new) <= SHOW


def test_what_a_section_computes_is_data_of_the_stage(edit, copy):
    """The number of sampling steps is chosen by code, and so another choice must show in what the stage gets."""
    edit("augmenters/schedules.py", "USUAL_STEPS = 50", "USUAL_STEPS = 40")
    show = "from medbench.augmenters.diffusion_sections import CDDPM; print(CDDPM(kind='cddpm').model_dump_json())"
    run = subprocess.run([sys.executable, "-c", show], cwd=copy.folder.parent, capture_output=True, check=True)
    section, edited = CDDPM(kind="cddpm").model_dump(), json.loads(run.stdout)
    assert (section["sample_steps"], edited["sample_steps"]) == (50, 40)
    assert None not in (section["sample_steps"], section["clip_sample"])


def test_every_module_that_computes_counts_for_a_stage(monkeypatch):
    """But for these, which check, fetch or describe; what is known of published sets is data of `prepare`."""
    counted, read = set(), fingerprint._read
    monkeypatch.setattr(fingerprint, "_read", lambda name, *how: counted.add(name) or read(name, *how))
    clear()
    for stage in MODULES:
        kinds = {"prepare": [*data.KINDS], "train": [*augmenters.KINDS], "sample": [*augmenters.KINDS]}
        for kind in kinds.get(stage, [None]):
            code_of(stage, kind)
    folders = ("core", "data", "augmenters", "training", "utility", "fidelity", "audit")
    paths = [path for folder in folders for path in (ROOT / "medbench" / folder).rglob("*.py")]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths if path.stem != "__init__"}
    others = {"core.errors", "core.fingerprint", "augmenters.checked_calls", "augmenters.model_card"}
    assert modules - counted == {f"medbench.{name}" for name in {*others, "data.known.facts"}}


def test_each_stage_has_a_fingerprint_of_its_own():
    hashes = {stage: code_of(stage) for stage in MODULES}
    assert len(set(hashes.values())) == len(set(MODULES.values()))  # the pages of an audit share a module
    assert code_of("train", "annotated_ddpm") != code_of("train")
