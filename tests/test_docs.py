"""Pages whose numbers come from config.yaml: an edit there must not leave them behind."""

import runpy
import sys

import pytest


@pytest.mark.parametrize("name", ["fairness", "costs"])
def test_a_page_is_what_its_script_prints_of_the_config(root, monkeypatch, capsys, name):
    monkeypatch.syspath_prepend(root / "benchmarks")
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", [name])
    runpy.run_path(str(root / f"benchmarks/{name}.py"), run_name="__main__")
    assert capsys.readouterr().out == (root / f"docs/{name}.md").read_text(encoding="utf-8"), "run `make docs`"


def test_the_readme_shows_the_costs_of_every_study(root):
    rows = [line for line in (root / "docs/costs.md").read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    assert len(rows) == 5
    assert set(rows) <= set((root / "README.md").read_text(encoding="utf-8").splitlines())
