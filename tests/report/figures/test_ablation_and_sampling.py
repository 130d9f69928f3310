"""Figures of an ablation, and of one model sampled in several ways."""

import numpy as np
import pytest

from medbench.report.figures.ablation import fid_of_parts
from medbench.report.figures.sampling import sampling_grid
from medbench.run.formats import read_json

WAYS = tuple(f"steps{steps}_g{scale}" for steps in (10, 25, 50) for scale in (1, 2, 4))


def fid_of(results, name: str, seed: int) -> float:
    """Against test, at 64 dimensions."""
    rows = read_json(results.folder / f"fidelity/gray/{name}/seed{seed}.json")["rows"]
    keys = {"metric": "fid", "reference": "test", "dimension": 64}
    (value,) = [row["value"] for row in rows if all(row[key] == wanted for key, wanted in keys.items())]
    return value


def test_ablation_shows_differences_from_the_whole_at_the_same_seed(
    pictured_run, tmp_path, drawn, texts, check_legible
):
    results = pictured_run(tmp_path, augmenters=("medienet", "no_rope", "no_attention", "cvae"), ablation="medienet")
    fid_of_parts(results, tmp_path)
    ax = drawn[0].axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["without RoPE", "without multi-attention"]
    wanted = [fid_of(results, "no_rope", s) - fid_of(results, "medienet", s) for s in (0, 1)]
    seeds = [line.get_xdata() for line in ax.lines if line.get_markersize() == 1.7]
    np.testing.assert_allclose(seeds[0], wanted)
    assert float(next(line for line in ax.lines if line.get_markersize() == 4.5).get_xdata()[0]) == pytest.approx(
        np.mean(wanted)
    )
    low, high = ax.get_xlim()
    assert low < min(*np.concatenate(seeds), 0) <= max(*np.concatenate(seeds), 0) < high
    assert "medienet, the whole model" in [text.get_text() for text in texts(drawn[0])]
    check_legible(drawn[0])


def test_ablation_is_not_drawn_where_it_is_none_or_the_whole_is_missing(pictured_run, tmp_path, drawn):
    fid_of_parts(pictured_run(tmp_path / "none", augmenters=("cvae",)), tmp_path)
    results = pictured_run(tmp_path, augmenters=("medienet", "no_rope"), datasets=("gray",), ablation="medienet")
    for seed in (0, 1):
        (tmp_path / f"fidelity/gray/medienet/seed{seed}.json").unlink()
    fid_of_parts(results, tmp_path)
    assert drawn == []


def test_sampling_shows_fid_over_steps_by_guidance(pictured_run, tmp_path, drawn, texts, check_legible):
    results = pictured_run(tmp_path, augmenters=("medienet", *WAYS), datasets=("gray",), sampling="medienet")
    sampling_grid(results, tmp_path)
    low = drawn[0].axes[0]
    # Guidance 1, 2 and 4: medienet itself is sampled as steps50_g2 is.
    lines = [line for line in low.lines if line.get_marker() != "None"]
    assert [line.get_xdata().tolist() for line in lines] == [[10, 25, 50]] * 3
    of_g4 = [np.mean([fid_of(results, f"steps{n}_g4", s) for s in (0, 1)]) for n in (10, 25, 50)]
    np.testing.assert_allclose(lines[2].get_ydata(), of_g4)
    assert low.get_ylim()[0] == 0
    words = " ".join(text.get_text().replace("\n", " ") for text in texts(drawn[0]))
    for said in ("guidance 1", "guidance 2", "guidance 4"):
        assert said in words
    check_legible(drawn[0])


def test_sampling_names_gaps_and_is_left_out_without_any_fid(pictured_run, tmp_path, drawn, texts):
    results = pictured_run(tmp_path, augmenters=("medienet", *WAYS[:2]), datasets=("gray",), sampling="medienet")
    for path in tmp_path.glob("fidelity/gray/steps10_g2/*"):
        path.unlink()
    sampling_grid(results, tmp_path)
    assert "Missing: steps10_g2 (gray)." in " ".join(text.get_text().replace("\n", " ") for text in texts(drawn[0]))
    for path in tmp_path.glob("fidelity/gray/*/*"):
        path.unlink()
    sampling_grid(pictured_run(tmp_path / "other", augmenters=("cvae",)), tmp_path)  # which samples nothing so
    assert len(drawn) == 1
