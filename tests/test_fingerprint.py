import pytest

from medbench import fingerprint as module
from medbench.fingerprint import STAGES, code_of


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package `medbench` in place of ours: stage imports helper, other is imported by nobody."""
    folder = tmp_path / "medbench"
    folder.mkdir()
    sources = {
        "fingerprint": "",
        "config": "limit = 1\n",
        "stage": '"""Doc."""\n\ndef run():\n    """Doc."""\n    from medbench.helper import f\n    return f(1)\n',
        "helper": "from medbench.config import limit\n\ndef f(x):\n    return x + limit\n",
        "other": "x = 1\n",
    }
    for name, text in sources.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(module, "__file__", str(folder / "fingerprint.py"))

    def edit(name, old, new):
        text = (folder / f"{name}.py").read_text()
        assert old in text
        (folder / f"{name}.py").write_text(text.replace(old, new))

    yield edit
    clear()


def clear():
    module.fingerprint.cache_clear()
    module._path.cache_clear()


def stage_hash():
    clear()
    return module.fingerprint("medbench.stage")


@pytest.mark.parametrize(
    ("name", "old", "new", "reruns"),
    [
        ("stage", "f(1)", "f(2)", True),
        ("helper", "x + limit", "x - limit", True),  # imported inside a function
        ("other", "x = 1", "x = 2", False),
        ("stage", '"""Doc."""', '"""Another."""', False),
        ("helper", "return", "# why\n    return", False),
        ("helper", "x + limit", "(x  +  limit)", False),
        ("config", "limit = 1", "limit = 2", False),  # settings arrive in the section, not through the code
    ],
)
def test_code_reruns_a_stage_and_a_comment_does_not(package, name, old, new, reruns):
    before = stage_hash()
    package(name, old, new)
    assert (stage_hash() != before) == reruns


def test_each_stage_has_a_fingerprint_of_its_own():
    clear()
    hashes = {stage: code_of(stage) for stage in STAGES}
    assert len(set(hashes.values())) == len(STAGES)
    assert code_of("train", "annotated_ddpm") != code_of("train")
