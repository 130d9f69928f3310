"""Figures of a whole field of augmenters: what is drawn is what the files hold, and like stands beside like alone."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medbench.report.figures import style
from medbench.report.figures.curves import training_curves
from medbench.report.figures.denoising import denoising_strip
from medbench.report.figures.fid import fid_by_augmenter
from medbench.report.figures.fidelity_by_step import fidelity_by_step
from medbench.report.figures.samples import samples_grid
from medbench.report.figures.write import write_figures
from medbench.run.formats import read_json
from tests.helpers.records import write_json, write_sums

WAYS = tuple(f"steps{steps}_g{scale}" for steps in (10, 25, 50) for scale in (1, 2, 4))
LATENTS = "latents of ae, linear, T = 1000"


@pytest.fixture(scope="module")
def field(pictured_run, tmp_path_factory):
    """A dozen augmenters on a gray and a colour dataset; not to be changed."""
    return pictured_run(tmp_path_factory.mktemp("field"))


def fid_of(results, name: str, seed: int, dataset="gray", reference="train_part", dimension=64) -> float:
    rows = read_json(results.folder / f"fidelity/{dataset}/{name}/seed{seed}.json")["rows"]
    keys = {"metric": "fid", "reference": reference, "dimension": dimension}
    (value,) = [row["value"] for row in rows if all(row[key] == wanted for key, wanted in keys.items())]
    return value


def means_of(ax) -> dict[float, tuple[float, str]]:
    """Row -> where its mean stands, and the colour of its face."""
    marks = [line for line in ax.lines if line.get_markersize() == 4.5]
    return {float(line.get_ydata()[0]): (float(line.get_xdata()[0]), line.get_markerfacecolor()) for line in marks}


def test_a_field_is_legible_and_as_wide_as_a_column_or_a_page(field, tmp_path, drawn, check_legible):
    fid_by_augmenter(field, tmp_path)
    training_curves(field, tmp_path)
    fidelity_by_step(field, tmp_path)
    samples_grid(field, "colour", tmp_path)
    denoising_strip(field, "colour", tmp_path)
    for figure in drawn:
        check_legible(figure)
        assert figure.get_figwidth() in (style.COLUMN_WIDTH, style.PAGE_WIDTH)
        assert figure.get_figheight() < 10  # a page


def test_every_figure_of_a_field_is_written_twice_alike(pictured_run, tmp_path):
    results = pictured_run(
        tmp_path,
        augmenters=("medienet", "no_rope", *WAYS[:2], "copy"),
        datasets=("gray",),
        dimensions=(64,),
        ablation="medienet",
        sampling="medienet",
    )
    for folder in ("a", "b"):
        write_figures(results, tmp_path / folder)
    stems = {"fid_by_augmenter", "training_curves", "fidelity_by_step", "ablation", "sampling"}
    stems |= {"samples_gray", "denoising_gray"}
    names = {s + e for s in stems for e in (".png", ".svg")}
    assert {path.name for path in (tmp_path / "a").iterdir()} == names | {"SHA256SUMS"}
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert picture.width in (680, 1400)  # 3.4 or 7 inches at 200 dots an inch


# FID ------------------------------------------------------------------------------------------------------------


def test_fid_of_every_augmenter_with_ceilings_last_and_open(field, tmp_path, drawn):
    fid_by_augmenter(field, tmp_path)
    ax = drawn[0].axes[0]
    names = [label.get_text().replace("\n", " ") for label in ax.get_yticklabels()]
    assert names == [
        *(
            "medienet (L2)",
            "medienet_huber (Huber)",
            "ldm (L2)",
            "cddpm (L2)",
            "annotated (L2)",
            "cvae",
            "cgan",
            "ready",
        ),
        *("classic", "copy (real images)", "ae (ceiling)"),
    ]
    means = means_of(ax)
    for place, name in enumerate(field.in_rows):
        assert means[place][0] == pytest.approx(np.mean([fid_of(field, name, seed) for seed in (0, 1)]))
        assert (means[place][1] == "white") == (name == "ae")


def test_the_ceiling_stands_in_the_rows_of_those_that_use_it(field, tmp_path, drawn):
    fid_by_augmenter(field, tmp_path)
    bars = [line for line in drawn[0].axes[0].lines if line.get_linewidth() == 1.6]
    assert [np.mean(bar.get_ydata()) for bar in bars] == [0, 1, 2]  # medienet, medienet_huber, ldm
    reached = np.mean([fid_of(field, "ae", seed) for seed in (0, 1)])
    np.testing.assert_allclose([bar.get_xdata() for bar in bars], reached)


@pytest.mark.parametrize(("augmenters", "scale"), [(("cvae", "copy"), "log"), (("cvae", "cgan"), "linear")])
def test_an_axis_is_logarithmic_where_zero_would_crush_small_values(
    pictured_run, tmp_path, drawn, texts, augmenters, scale
):
    results = pictured_run(tmp_path, augmenters=augmenters, datasets=("gray",))
    if scale == "linear":  # the floor is small too
        for path in tmp_path.glob("fidelity/*/*/seed?.json"):
            scores = read_json(path)
            rows = [row for row in scores["rows"] if row["metric"] != "fid_floor"]
            write_json(path, scores | {"rows": rows})
    fid_by_augmenter(results, tmp_path)
    assert {ax.get_xscale() for ax in drawn[0].axes} == {scale}
    words = " ".join(text.get_text() for text in texts(drawn[0]))
    assert ("logarithmic" in words) == (scale == "log")


# While training -------------------------------------------------------------------------------------------------


def test_noise_of_different_kinds_shares_no_panel(field, tmp_path, drawn, texts):
    training_curves(field, tmp_path)
    panels = {ax.get_title("left"): ax for ax in drawn[0].axes}
    kinds = {LATENTS: 3, "pixels, cosine, T = 1000": 1, "pixels, linear, T = 300": 1}
    assert {title: len(ax.lines) for title, ax in panels.items()} == {
        f"{dataset}: {kind}": n for kind, n in kinds.items() for dataset in ("gray", "colour")
    }
    first, second = (panels[f"gray: {kind}"] for kind in list(kinds)[:2])
    assert not first.get_shared_y_axes().joined(first, second)
    assert first.get_shared_y_axes().joined(first, panels[f"colour: {LATENTS}"])
    words = " ".join(text.get_text() for text in texts(drawn[0]))
    assert "missing" not in words  # the others learn to predict no noise
    assert "cvae" not in words


def test_a_curve_is_the_mean_over_seeds_with_its_band(field, tmp_path, drawn):
    training_curves(field, tmp_path)
    logs = [pd.read_csv(field.folder / f"models/gray/medienet/seed{seed}/training.csv") for seed in (0, 1)]
    ax = drawn[0].axes[0]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.mean([log["eps_mse"] for log in logs], axis=0))
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert {band.min(), band.max()} == {
        min(log["eps_mse"].min() for log in logs),
        max(log["eps_mse"].max() for log in logs),
    }


def test_one_model_sampled_in_several_ways_has_one_curve(pictured_run, tmp_path, drawn):
    results = pictured_run(tmp_path, augmenters=("medienet", *WAYS[:3]), datasets=("gray",))
    training_curves(results, tmp_path)
    fidelity_by_step(results, tmp_path)
    curves = [[line for line in ax.lines if line.get_linestyle() != "None"] for f in drawn for ax in f.axes]
    assert [len(lines) for lines in curves] == [1, 1]
    alone = pictured_run(tmp_path / "alone", augmenters=WAYS[:2], datasets=("gray",))  # the model is no part of it
    training_curves(alone, tmp_path)
    assert len(drawn[2].axes[0].lines) == 1


def test_kid_by_step_and_rings_what_was_kept(field, tmp_path, drawn, texts):
    fidelity_by_step(field, tmp_path)
    panels = {ax.get_title("left"): ax for ax in drawn[0].axes}
    titles = {f"{dataset}: {dimension} dimensions" for dataset in ("gray", "colour") for dimension in (768, 2048)}
    assert set(panels) == titles  # each dimension has a scale of its own
    logs = [pd.read_csv(field.folder / f"models/gray/medienet/seed{seed}/training.csv").dropna() for seed in (0, 1)]
    ax = panels["gray: 768 dimensions"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.mean([log["kid"] for log in logs], axis=0))
    rings = {(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines if line.get_markersize() == 7}
    assert {(row["step"], row["kid"]) for log in logs for _, row in log[log["kept"] == 1].iterrows()} <= rings
    assert len(rings) == 2 * 3  # seeds of medienet, medienet_huber and ldm
    assert not [line for line in panels["gray: 2048 dimensions"].lines if line.get_markersize() == 7]  # select: last
    assert ax.get_ylim()[0] < 0 < ax.get_ylim()[1]
    words = " ".join(text.get_text().replace("\n", " ") for text in texts(drawn[0]))
    assert "Ring: the checkpoint kept" in words


def test_without_checks_there_is_no_figure_of_them(pictured_run, tmp_path, drawn):
    fidelity_by_step(pictured_run(tmp_path, augmenters=("cvae", "annotated")), tmp_path)
    assert drawn == []


def test_a_missing_check_is_named(pictured_run, tmp_path, drawn, texts):
    results = pictured_run(tmp_path, augmenters=("medienet", "ldm"), datasets=("gray",))
    (tmp_path / "models/gray/ldm/seed1/training.csv").unlink()
    write_sums(tmp_path / "models/gray/ldm/seed1")
    fidelity_by_step(results, tmp_path)
    assert "missing: ldm (L2) seed 1" in [text.get_text() for text in texts(drawn[0])]


# Images ---------------------------------------------------------------------------------------------------------


def test_many_augmenters_have_a_row_each_and_classes_side_by_side(field, tmp_path, drawn, texts):
    samples_grid(field, "colour", tmp_path)
    words = [text.get_text().replace("\n", " ") for text in texts(drawn[0])]
    rows = ["real", *(field.labels[name] for name in field.compared)]
    rows[rows.index("copy")] = "copy (real images)"
    assert words == ["normal", "pneumonia", "third.kind", *rows, "ae (ceiling)"]
    images = drawn[0].axes[0].images
    assert len(images) == 12 * 3 * 6
    made = field.samples("colour", "medienet")
    second_row_last_class = images[18 + 12].get_array()
    times = second_row_last_class.shape[0] // 12
    np.testing.assert_array_equal(second_row_last_class[::times, ::times], made["images"][made["labels"] == 2][0])


def test_five_classes_are_shared_out_over_two_bands(pictured_run, tmp_path, drawn, texts):
    results = pictured_run(tmp_path, datasets=("gray",), classes=("a", "b", "c", "d", "e"))
    samples_grid(results, "gray", tmp_path)
    words = [text.get_text() for text in texts(drawn[0])]
    assert words[:4] == ["a", "b", "c", "real"]
    assert words[words.index("d") : words.index("d") + 3] == ["d", "e", "real"]


def test_only_what_starts_from_noise_has_a_way_out_of_it(field, tmp_path, drawn, texts):
    denoising_strip(field, "gray", tmp_path)
    words = [text.get_text().replace("\n", " ") for text in texts(drawn[0])]
    shown = [word for word in words if not word.isdigit()]
    assert shown == [
        *("step t", "medienet (L2)", "medienet_huber (Huber)", "ldm (L2)", "cddpm (L2)"),
        *("step t", "annotated (L2)"),  # of another T
    ]


def test_without_any_way_out_of_noise_there_is_no_strip(pictured_run, tmp_path, drawn):
    results = pictured_run(tmp_path, augmenters=("cvae", "classic"), datasets=("gray",))
    denoising_strip(results, "gray", tmp_path)
    (tmp_path / "samples/gray/cvae/seed0.npz").unlink()  # a gap, but not of a diffusion model
    denoising_strip(results, "gray", tmp_path)
    assert drawn == []
