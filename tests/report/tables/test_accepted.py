"""Files that are not the published ones, where that was accepted: said under every table that rests on them."""

from dataclasses import replace

import pytest

from medbench.report.tables.fid_table import long_form
from medbench.report.tables.write import write_tables
from medbench.run.formats import read_json
from tests.helpers.records import write_json

FILES = [f"{n} images of normal in test, published are 54 (accepted)" for n in range(5)]
SAID = (
    "ct is not what was published, which was accepted: 0 images of normal in test, published are 54; 1 images of normal"
    " in test, published are 54; 2 images of normal in test, published are 54; and 2 more."
)


def accept(results, *sentences: str):
    path = results.folder / "datasets/ct.json"
    write_json(path, read_json(path) | {"accepted": list(sentences)})
    return results


@pytest.mark.parametrize(
    ("study", "tables"),
    [
        ("field", ["fid", "augmenters"]),
        ("ablation", ["fid", "augmenters", "ablation"]),
        ("sampling", ["fid", "augmenters", "sampling"]),
    ],
)
def test_tables_of_augmenters_say_it(field_run, tmp_path, study, tables):
    results = accept(field_run(tmp_path, study, seeds=(0,)), *FILES)
    write_tables(results, tmp_path / "tables")
    for name in tables:
        assert f"- {SAID}\n" in (tmp_path / f"tables/{name}.md").read_text("utf-8"), name
    assert all(warning.endswith(SAID) for warning in long_form(results)["warning"])


def test_tables_of_classifiers_say_it(protocol_run, tmp_path):
    results = accept(replace(protocol_run(tmp_path, arms=("real",)), augmenters=()), "one image more")
    write_tables(results, tmp_path / "tables")
    said = "ct is not what was published, which was accepted: one image more."
    for name in ("utility", "leakage"):
        assert f"- {said}\n" in (tmp_path / f"tables/{name}.md").read_text("utf-8")
        lines = (tmp_path / f"tables/{name}.csv").read_text("utf-8").splitlines()
        assert any(said in line for line in lines if ",ct," in line)
        assert not any(said in line for line in lines if ",ct," not in line)


def test_published_files_need_no_word(field_run, tmp_path):
    write_tables(field_run(tmp_path, "field", seeds=(0,)), tmp_path / "tables")
    assert not any("not what was published" in path.read_text("utf-8") for path in (tmp_path / "tables").iterdir())
