"""Quadratic kappa stands beside AUROC where classes have an order, and nowhere else."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from medbench.report.effects import effects
from medbench.report.tables.utility_notes import utility_notes
from medbench.report.tables.utility_table import utility_tables, write_utility_tables
from medbench.report.utility_results import utility_rows
from medbench.run.formats import read_json
from tests.helpers.builders import score
from tests.helpers.records import write_json

KAPPAS = {"real": [0.5, 0.6, 0.7], "real+a@1": [0.6, 0.6, 0.9]}


@pytest.fixture
def results(classifier_run, tmp_path):
    """Two datasets, of which the classes of `retina` have an order."""
    classes = {"retina": ["0", "1", "2"], "ct": ["normal", "ill", "very ill"]}
    made = classifier_run(tmp_path, classes, list(KAPPAS), augmenters=("a",), seeds=(0,), budgets=("steps",))
    card = tmp_path / "datasets/retina.json"
    write_json(card, read_json(card) | {"task": "ordinal-regression"})
    for arm, values in KAPPAS.items():
        (scores,) = (tmp_path / f"utility/retina/steps/{arm}").glob("*.npz")
        path = scores.with_suffix(".json")
        content = read_json(path)
        for seed, value in enumerate(values):
            for metric, scored in (("quadratic_kappa", value), ("val_quadratic_kappa", 0.1)):
                content["rows"].append({"classifier_seed": seed, "metric": metric, "class": None, "value": scored})
        write_json(path, content)
    return made


def arms(results) -> dict[tuple[str, str], dict[str, str]]:
    found = utility_tables(results, effects(results), utility_rows(results))
    (table,) = [table for table in found if table.key == "utility-arms-steps"]
    return {(row[0], row[1]): dict(zip(table.columns, row, strict=True)) for row in table.rows}


def test_kappa_is_the_mean_over_runs_beside_auroc(results):
    found = arms(results)
    for arm, label in {"real": "real", "real+a@1": "real + a ×1"}.items():
        mean, sd = np.mean(KAPPAS[arm]), np.std(KAPPAS[arm], ddof=1)
        assert found["retina", label]["quadratic kappa"] == f"{mean:.3f} ± {sd:.3f}"
        assert found["ct", label]["quadratic kappa"] == "–"
    columns = list(found["ct", "real"])
    assert columns.index("quadratic kappa") == columns.index("AUROC") + 1
    assert any(
        note.startswith("Quadratic kappa: Cohen's kappa") for note in utility_notes(results, utility_rows(results))
    )


def test_a_gap_is_missing(results):
    (results.folder / "utility/retina/steps/real/real.json").unlink()
    assert arms(results)["retina", "real"]["quadratic kappa"] == "missing"


def test_a_study_without_ordered_classes_has_no_such_column(results):
    others = replace(results, datasets=("ct",))
    assert all("quadratic kappa" not in row for row in arms(others).values())
    assert "appa" not in " ".join(utility_notes(others, utility_rows(others)))


def test_csv_holds_that_of_val_too(results, tmp_path):
    write_utility_tables(results, tmp_path / "out")
    long = list(csv.DictReader(io.StringIO((tmp_path / "out/utility.csv").read_text("utf-8"))))
    values = [float(row["value"]) for row in long if row["metric"] == "val_quadratic_kappa"]
    assert values == [0.1] * 6
    assert {row["dataset"] for row in long if "kappa" in row["metric"]} == {"retina"}


def test_a_metric_that_no_table_names_is_shown_all_the_same(results):
    path = results.folder / "utility/ct/steps/real/real.json"
    content = read_json(path)
    unknown = [score(0.25, "sharpness", name, seed) for seed in (0, 1) for name in (None, "ill")]
    write_json(path, content | {"rows": content["rows"] + unknown})
    rows = utility_rows(results)
    assert len(rows[rows["metric"] == "sharpness"]) == 4
    (table,) = [
        table for table in utility_tables(results, effects(results), rows) if table.key == "utility-others-steps"
    ]
    assert table.rows == [["ct", "real", "sharpness", name, "0.250 ± 0.000"] for name in ("all", "ill")]
