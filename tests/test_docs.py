"""Pages whose numbers come from config.yaml: an edit there must not leave them behind."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["fairness", "costs"])
def test_a_page_is_what_its_script_makes_of_the_config(root, name):
    command = [sys.executable, f"benchmarks/{name}.py"]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONIOENCODING": "utf-8"}
    made = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, cwd=root, env=environment)
    assert made.stdout == (root / f"docs/{name}.md").read_text(encoding="utf-8"), "run `make docs`"


def test_the_readme_shows_the_costs_of_every_study(root):
    rows = [line for line in (root / "docs/costs.md").read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    assert len(rows) == 5
    assert set(rows) <= set((root / "README.md").read_text(encoding="utf-8").splitlines())
