"""The figure of leakage: two joined means an arm, and nothing where there is nothing to join."""

from dataclasses import replace

import numpy as np
import pytest

from medbench.report.effects import effects
from medbench.report.figures.leakage import leakage_by_arm
from medbench.report.figures.write import write_figures
from medbench.report.within import within_models

pytestmark = pytest.mark.usefixtures("few_draws")


def means(ax) -> list[tuple[float, float]]:
    """As published and otherwise, of each arm from the top; NaN for one that is missing."""
    points = [line for line in ax.lines if line.get_markersize() == 4.5 and line.get_marker() == "o"]
    found: dict[float, list[float]] = {}
    for point in points:
        found.setdefault(float(point.get_ydata()[0]), []).append(float(point.get_xdata()[0]))
    return [tuple(found[place]) for place in sorted(found)]


def words(texts, figure) -> str:
    return " ".join(text.get_text().replace("\n", " ") for text in texts(figure))


def test_a_line_joins_both_means_of_an_arm(protocol_run, tmp_path, drawn, texts, check_legible):
    results = protocol_run(tmp_path, seeds=(0, 1))
    leakage_by_arm(results, tmp_path / "leakage")
    (figure,) = drawn
    (ax,) = figure.axes
    found = effects(results).set_index(["dataset", "arm"])["auroc"]
    expected = [(found["ct_aspub", arm], found["ct", arm]) for arm in results.arms]
    np.testing.assert_allclose(means(ax), expected)
    joined = [
        tuple(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 1.4
    ]
    np.testing.assert_allclose(joined, expected)
    faces = [line.get_markerfacecolor() for line in ax.lines if line.get_markersize() == 4.5]
    assert faces[::2] == ["white"] * 4
    assert "white" not in faces[1::2]
    runs = [line for line in ax.lines if line.get_markersize() == 1.7]
    assert [len(line.get_xdata()) for line in runs] == [3, 3, 3, 3, 6, 6, 6, 6]
    low, high = ax.get_xlim()
    assert low < np.min(expected) < np.max(expected) < high
    said = words(texts, figure)
    for text in ("ct_aspub → ct (clean)", "mean as published", "not leakage alone"):
        assert text in said
    check_legible(figure)


def test_a_tick_shows_the_mean_without_copies(protocol_run, write_audit, tmp_path, drawn, texts, check_legible):
    results = protocol_run(tmp_path, seeds=(0, 1))
    write_audit(tmp_path, in_train=range(20))
    leakage_by_arm(results, tmp_path / "leakage")
    (figure,) = drawn
    (ax,) = figure.axes
    ticks = [(*line.get_xdata(), *line.get_ydata()) for line in ax.lines if line.get_marker() == "|"]
    expected = [(within.runs["rest"].mean(), place) for place, within in enumerate(within_models(results))]
    np.testing.assert_allclose(ticks, expected)
    assert "same classifiers, test copies of train or val left out" in words(texts, figure)
    check_legible(figure)


def test_what_is_missing_is_named(protocol_run, tmp_path, drawn, texts, check_legible):
    results = protocol_run(tmp_path, seeds=(0, 1), budgets=("steps", "epochs"))
    for path in ("ct/epochs/real+a@1/seed0", "ct/steps/real+a@1/seed0", "ct/steps/real+a@1/seed1"):
        (tmp_path / f"utility/{path}.json").unlink()
    for dataset in results.datasets:
        (tmp_path / f"utility/{dataset}/epochs/real+oversample@1/real.json").unlink()
    leakage_by_arm(results, tmp_path / "leakage")
    (figure,) = drawn
    steps, epochs = figure.axes
    assert np.isnan(means(steps)[2][1])
    assert not np.isnan(means(steps)[2][0])
    assert len(means(epochs)) == 3
    said = words(texts, figure)
    assert "missing" in said
    assert "3 of 6 runs of real + a ×1 (ct, epochs)" in said
    assert "real + a ×1 (ct, steps)" in said
    check_legible(figure)


def test_it_is_not_drawn_without_pairs_or_scores(protocol_run, tmp_path, drawn):
    results = protocol_run(tmp_path, arms=("real",))
    leakage_by_arm(replace(results, protocols=()), tmp_path / "leakage")
    for path in tmp_path.glob("utility/*/*/*/*.json"):
        path.unlink()
    leakage_by_arm(replace(results), tmp_path / "leakage")
    assert drawn == []


def test_it_is_written_twice_alike(protocol_run, tmp_path):
    results = protocol_run(tmp_path, arms=("real",))
    for name in ("one", "two"):
        write_figures(replace(results, augmenters=()), tmp_path / name)
    files = [sorted((tmp_path / name).glob("leakage.*")) for name in ("one", "two")]
    assert [path.name for path in files[0]] == ["leakage.png", "leakage.svg"]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
