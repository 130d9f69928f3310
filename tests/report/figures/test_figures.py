"""Figures: that they are written for every kind of image, read well with long names, and are the same bytes again."""

import itertools
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from medbench.config.page_sections import report_section
from medbench.config.study import Config
from medbench.core.errors import UserError
from medbench.core.sections import canonical_json
from medbench.data.dataset import SPLITS, Dataset, Split
from medbench.report.figures import style
from medbench.report.figures.denoising import denoising_strip
from medbench.report.figures.fid import fid_by_augmenter
from medbench.report.figures.samples import samples_grid
from medbench.report.figures.write import write_figures
from medbench.report.results import StudyResults
from medbench.run.files import write_text
from tests.helpers.builders import card_of, write_fidelity, write_trained
from tests.helpers.files import remove
from tests.helpers.records import save, write_npz, write_sums

DATASETS = ("gray", "colour")
CLASSES = ["normal", "squamous.cell.carcinoma"]


def images(n: int, channels: int) -> np.ndarray:
    shape = (n, 12, 12) if channels == 1 else (n, 12, 12, 3)
    return np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)


def fake_run(
    folder: Path,
    datasets=DATASETS,
    augmenters=("ann_l2", "ann_huber"),
    seeds=(0,),
    unlabelled=(),
    dimensions=(64,),
    random_weights=False,
) -> StudyResults:
    """A dataset named "colour..." has 3 channels, any other one; FID is 2 + seed over a floor of 1 at any dimension."""
    labels = np.arange(20) % 2
    for dataset in datasets:
        channels = 3 if dataset.startswith("colour") else 1
        card = card_of(dataset, CLASSES, channels=channels)
        split = Split(images(20, channels), labels, np.arange(20))
        save(Dataset(dict.fromkeys(SPLITS, split), card), folder / f"datasets/{dataset}.npz")
        for part in ("train", "test"):
            write_text(folder / f"features/{dataset}/{part}.safetensors", "")
        for augmenter, seed in itertools.product(augmenters, seeds):
            made = labels if augmenter not in unlabelled else np.full(20, -1)
            write_generator(folder, f"{dataset}/{augmenter}/seed{seed}", images(20, channels), made)
            metrics = {"fid": 2.0 + seed, "fid_floor": 1.0}
            values = {(name, "train_part", n): value for name, value in metrics.items() for n in dimensions}
            generator = f"{dataset}/{augmenter}/seed{seed}"
            write_fidelity(folder, generator, values, "l2", n_real=600, random_weights=random_weights)
    return StudyResults(folder, "demo", datasets, augmenters, seeds)


def write_generator(folder: Path, name: str, made: np.ndarray, labels: np.ndarray) -> None:
    """Model, samples and features of one generator seed."""
    steps = np.linspace(1000, 0, 9).astype(np.int64)
    arrays = {"images": made, "labels": labels, "trajectory": made[:9], "trajectory_timesteps": steps}
    write_npz(folder / f"samples/{name}.npz", arrays)
    log = "step,images_seen,loss,eps_mse\n50,6400,0.2,0.5\n100,12800,0.1,0.03\n"
    model = {"augmenter": {"loss": "l2"}, "runtime": {"precision": "fp32", "device": "cpu"}}
    write_trained(folder / f"models/{name}", model, log)
    write_text(folder / f"features/{name}.safetensors", "")


def test_all_figures_of_gray_and_colour_images_are_written_twice_alike(tmp_path):
    results = fake_run(tmp_path, unlabelled=("ann_l2",), random_weights=True)
    for folder in ("a", "b"):
        write_figures(results, tmp_path / folder)
    stems = [
        "fid_by_augmenter",
        "training_curves",
        *(f"{kind}_{name}" for kind in ("samples", "denoising") for name in DATASETS),
    ]
    names = {stem + suffix for stem in stems for suffix in (".png", ".svg")}
    assert {path.name for path in (tmp_path / "a").iterdir()} == names | {"SHA256SUMS"}
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        if name.endswith(".svg"):  # matplotlib notes every text in a comment beside its outlines
            assert "randomly initialised" in (tmp_path / "a" / name).read_text("utf-8").replace("\n", " ")
        else:
            with Image.open(tmp_path / "a" / name) as picture:
                assert picture.width == 680  # a column of a page, 3.4 inches at 200 dots an inch
    assert plt.get_fignums() == []


def test_samples_by_class_and_unlabelled_ones_apart(tmp_path, drawn, texts):
    samples_grid(fake_run(tmp_path, unlabelled=("ann_l2",)), "gray", tmp_path / "x")
    words = [text.get_text().replace("\n", " ") for text in texts(drawn[0])]
    assert words == [
        "all classes",
        "real",
        "ann_l2 (L2)",
        "normal",
        "real",
        "ann_huber (L2)",
        "squamous.cell.carcinoma",
        "real",
        "ann_huber (L2)",
    ]
    assert len(drawn[0].axes[0].images) == 2 * 20 + 4 * 8  # all 20 of a set without labels; 8 a row by class


def test_images_of_a_block_belong_to_its_class(tmp_path, drawn):
    results = fake_run(tmp_path)
    samples_grid(results, "colour", tmp_path / "x")
    train = results.dataset("colour").splits["train"]
    first_of_second_class = drawn[0].axes[0].images[3 * 8].get_array()
    times = first_of_second_class.shape[0] // 12
    np.testing.assert_array_equal(first_of_second_class[::times, ::times], train.images[train.labels == 1][0])


def test_denoising_ends_at_the_finished_image(tmp_path, drawn, texts):
    denoising_strip(fake_run(tmp_path), "gray", tmp_path / "x")
    words = [text.get_text() for text in texts(drawn[0])]
    assert words[0] == "step t"
    assert [word for word in words if word.isdigit()] == [str(t) for t in range(1000, -1, -125)]  # once for both rows


def test_long_names_are_neither_cut_off_nor_overlap(tmp_path, drawn, check_legible):
    datasets = ("colour_chest_ct_aspub_f10", "adatasetwithoutunderscores", "organcmnist_resplit", "b")
    augmenters = tuple(f"augmenter_with_a_long_name_{i}" for i in range(6))
    results = fake_run(tmp_path, datasets, augmenters, (0, 1), dimensions=(64, 2048), random_weights=True)
    fid_by_augmenter(results, tmp_path / "x")
    denoising_strip(results, "b", tmp_path / "x")
    for figure in drawn:
        check_legible(figure)


def test_dimensions_share_no_axis_and_start_at_zero(tmp_path, drawn, texts):
    fid_by_augmenter(fake_run(tmp_path, dimensions=(64, 768)), tmp_path / "x")
    low, high, low_of_other, _ = drawn[0].axes
    assert not low.get_shared_x_axes().joined(low, high)
    assert low.get_shared_x_axes().joined(low, low_of_other)
    assert low.get_xlim()[0] == high.get_xlim()[0] == 0
    assert [ax.get_title("left") for ax in (low, high)] == ["gray\n64 dimensions", "gray\n768 dimensions †"]
    words = " ".join(text.get_text().replace("\n", " ") for text in texts(drawn[0]))
    assert "† Fewer images than dimensions" in words


def test_augmenters_look_unlike_each_other():
    names = [f"a{i}" for i in range(20)]
    few, field, many = (StudyResults(Path(), "s", (), shown, ()) for shown in (names[:6], names[:14], names))
    for look in (style.colours, style.markers, style.dashes):
        assert len(set(map(str, look(few).values()))) == 6
    assert len(set(map(str, style.markers(field).values()))) == 14  # so that grey shows who is who
    for look in (style.markers, style.dashes):  # with more than there are colours, one of them tells two apart
        assert len(set(zip(style.colours(many).values(), map(str, look(many).values()), strict=True))) == 20


def test_an_augmenter_looks_alike_in_all_studies_of_a_run():
    studies = {"one": ["b", "a"], "two": ["c", "b"], "alone": ["d", "c"]}
    raw = {
        "name": "demo",
        "datasets": {"ct": {"kind": "phantom", "subject": "ct"}},
        "augmenters": {name: {"kind": "annotated_ddpm"} for name in "dcba"},
        "fidelity": {"weights": "random", "n_generated": 4},
        "studies": {
            name: {"datasets": ["ct"], "augmenters": listed, "generator_seeds": [0]} for name, listed in studies.items()
        },
        "run": ["one", "two"],
    }
    for config in (raw, json.loads(canonical_json(raw))):  # which sorts what is defined
        sections = [report_section(Config.model_validate(config), name) for name in studies]
        results = [StudyResults(Path(), **dict(section)) for section in sections]
        for look, all_looks in ((style.colours, style.COLOURS), (style.dashes, style.DASHES)):
            of = dict(zip("bacd", all_looks, strict=False))
            assert [look(own) for own in results] == [{name: of[name] for name in own.augmenters} for own in results]


@pytest.mark.parametrize(
    "gaps",
    [
        [
            ("models/gray/ann_l2/seed0/training.csv", r"missing: ann_l2 \(L2\) seed 0", {"training_curves"}),
            ("fidelity/gray/ann_l2/seed1.json", r"Missing: ann_l2 seed 1 \(gray\)\.", {"fid_by_augmenter"}),
            ("samples/gray/ann_l2/seed0.npz", "missing(?!:)", {"samples_gray", "denoising_gray"}),
        ],
        [
            ("models/gray/ann_l2/seed*/training.csv", r"missing: ann_l2 \(L2\)", {"training_curves"}),
            ("fidelity/gray/ann_l2/seed*.json", "missing(?!:)", {"fid_by_augmenter"}),
        ],
    ],
)
def test_a_gap_is_named_where_it_belongs_and_the_rest_is_drawn(tmp_path, svg_alone, gaps):
    results = fake_run(tmp_path, seeds=(0, 1))
    for pattern, _, _ in gaps:
        for path in list(tmp_path.glob(pattern)):
            path.unlink()
            if path.name == "training.csv":
                write_sums(path.parent)
    write_figures(results, tmp_path / "figures")
    texts = {}
    for path in (tmp_path / "figures").glob("*.svg"):  # matplotlib notes each text in a comment beside its outlines
        comments = re.findall(r"<!--(.*?)-->", path.read_text("utf-8"), re.DOTALL)
        texts[path.stem] = " ".join(" ".join(comments).split())
    assert {"fid_by_augmenter", "training_curves", "samples_colour", "denoising_colour"} <= set(texts)
    for _, gap, figures in gaps:
        assert {name for name, shown in texts.items() if re.search(gap, shown)} == figures


def test_a_gap_stands_in_place_of_its_images_and_with_those_that_have_labels(tmp_path, drawn, texts):
    results = fake_run(tmp_path, augmenters=("a", "b", "c"), unlabelled=("a",))
    (tmp_path / "samples/gray/c/seed0.npz").unlink()
    samples_grid(results, "gray", tmp_path / "x")
    words = [text.get_text() for text in texts(drawn[0])]
    assert words[2] == "a (L2)"
    assert words[-4:] == ["real", "b (L2)", "c (L2)", "missing"]
    (tmp_path / "samples/gray/b/seed0.npz").unlink()
    samples_grid(results, "gray", tmp_path / "x")
    assert [t.get_text() for t in texts(drawn[1])][:3] == ["all classes", "real", "a (L2)"]
    assert [t.get_text() for t in texts(drawn[1])][3:] == ["b (L2)", "missing", "c (L2)", "missing"]


@pytest.mark.parametrize(
    ("stale", "missing"),
    [
        ("fidelity/gray/ann_l2/seed1.json", ["fidelity/gray/ann_l2/seed1.json"]),
        ("samples/gray/ann_l2/seed0.npz", ["samples/gray/ann_l2/seed0.npz", "fidelity/gray/ann_l2/seed0.json"]),
        ("models/gray/ann_l2/seed0", ["[fms]*/gray/ann_l2/seed0*"]),
        ("datasets/gray.npz", ["*/gray*"]),
    ],
)
def test_what_another_config_made_is_refused_or_drawn_as_missing(tmp_path, svg_alone, stale, missing):
    results = replace(fake_run(tmp_path, ("gray",), seeds=(0, 1)), expected={stale: "a hash that it does not carry"})
    with pytest.raises(UserError, match="was made with another config"):
        write_figures(results, tmp_path / "figures")
    write_figures(replace(results, partial=True), tmp_path / "partial")
    for path in [path for pattern in missing for path in list(tmp_path.glob(pattern))]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_figures(replace(results, expected={}), tmp_path / "figures")
    drawn = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("partial", "figures")]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("unlabelled", [(), ("ann_l2", "ann_huber")])
def test_without_its_dataset_samples_stand_beside_a_gap(tmp_path, drawn, texts, unlabelled):
    results = fake_run(tmp_path, unlabelled=unlabelled)
    remove(tmp_path / "datasets/gray.npz")
    samples_grid(results, "gray", tmp_path / "x")
    words = [text.get_text() for text in texts(drawn[0])]
    block = ["real", "missing", "ann_l2 (L2)", "ann_huber (L2)"]
    assert words == (["all classes", *block] if unlabelled else ["class 1", *block, "class 2", *block])


def test_figures_of_which_nothing_is_there_are_left_out_and_old_ones_go(tmp_path):
    results = StudyResults(tmp_path, "demo", ("gray",), ("a",), (0,), arms=("real",), classifier_seeds=(0,))
    write_text(tmp_path / "figures/of_an_earlier_run.svg", "")
    write_figures(results, tmp_path / "figures")
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["SHA256SUMS"]


def test_names_break_between_words_and_numbers_stay_whole():
    assert style.broken("squamous.cell.carcinoma ×0.5", 20 * style.CHARACTER) == "squamous.cell.\ncarcinoma ×0.5"
    assert style.broken("annotated_huber_label", 16 * style.CHARACTER) == "annotated_huber_\nlabel"
    assert style.broken("pneumonoultramicroscopic", 10 * style.CHARACTER) == "pneumonou\nltramicro\nscopic"
