"""The utility tables: numbers by hand, gaps as gaps, published values apart, and the sentences below."""

import csv
import io
import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from medbench.core.arms import Arm
from medbench.data.dataset import Card
from medbench.report.effects import EFFECT_COLUMNS
from medbench.report.results import StudyResults
from medbench.report.tables import utility_table
from medbench.report.tables.auroc_cells import ONE_GENERATOR
from medbench.report.tables.write import write_tables
from medbench.run.formats import read_json
from tests.helpers.builders import score, write_utility
from tests.helpers.records import write_json, write_npz

ARMS = ("real", "real+oversample@1", "real+gen_l2@0.5", "real+gen_l2@1", "only-gen_l2")
N = 40  # test images
CLASSES = {"xray": ["normal", "pneumonia"], "ct": ["a|c", "normal", "other"]}


def fake_run(
    folder: Path,
    datasets=("xray",),
    arms=ARMS,
    budgets=("steps",),
    seeds=(0,),
    papers=(),
    source="hospital",
    changed=None,
    absent=None,
) -> StudyResults:
    """Random scores that favour the truth; `changed` are conditions of the arm real+gen_l2@1 alone."""
    for dataset in datasets:
        classes = CLASSES[dataset]
        counts = {"train": [100] * len(classes), "val": [10] * len(classes), "test": [N // len(classes)] * len(classes)}
        unstated = {
            "licence": "",
            "citation": "",
            "channels": 1,
            "image_size": (28, 28),
            "horizontal_flip": dataset == "ct",
        }
        names = {"name": dataset, "title": dataset.upper(), "source": source}
        card = Card(**names, **unstated, classes=classes, counts=counts)
        write_json(folder / f"datasets/{dataset}.json", card.model_dump())
        for arm, budget in itertools.product(map(Arm.parse, arms), budgets):
            if budget == "epochs" and arm.size == 1:
                continue
            for seed in seeds if arm.augmenter else [None]:
                name = f"utility/{dataset}/{budget}/{arm.name}/{'real' if seed is None else f'seed{seed}'}"
                own = changed if changed and arm.name == "real+gen_l2@1" else {}
                write_arm(folder / name, card, arm, budget, seed or 0, {"classes_absent": absent or {}} | own)
    return StudyResults(folder, "medienet", datasets, ("gen_l2",), tuple(seeds), papers, arms, budgets, (0, 1, 2))


def write_arm(stem: Path, card: Card, arm: Arm, budget: str, seed: int, conditions: dict) -> None:
    rng = np.random.RandomState(sum(map(ord, arm.name)) + 7 * seed)
    labels = np.arange(N) % len(card.classes)
    favoured = rng.rand(3, N, len(card.classes)) + 0.4 * np.eye(len(card.classes))[labels]
    scores = (favoured / favoured.sum(axis=2, keepdims=True)).astype(np.float32)
    rows = []
    for classifier_seed in range(3):
        overall = {"auroc": scored(labels, scores[classifier_seed]), "accuracy": 0.7, "balanced_accuracy": 0.65}
        overall |= {"macro_f1": 0.6 + classifier_seed / 10, "sensitivity": 0.5, "specificity": 0.25, "best_step": 30}
        rows += [score(value, metric, None, classifier_seed) for metric, value in overall.items()]
        for k, name in enumerate(card.classes):
            by_class = {"auroc": 0.9 - k / 10, "sensitivity": 0.8, "specificity": 0.7, "f1": 0.6, "threshold": 0.5}
            rows += [score(value, metric, name, classifier_seed) for metric, value in by_class.items()]
    n_real = sum(card.counts["train"])
    trained = {
        "horizontal_flip": card.horizontal_flip,
        "budget": budget,
        "steps": arm.steps(150, budget),
        "n_train": n_real,
        "n_real": n_real if arm.real else 0,
        "n_extra": arm.extra_images(n_real),
        "n_test": N,
        "train_counts": card.counts["train"],
        "samples_sha256": "s" * 64 if arm.augmenter else None,
        "device": "cpu",
        "precision": "fp32",
        "torch_threads": 1,
        "deterministic": False,
        "hardware": "x86_64",
        "versions": {"torch": "2.11.0"},
    }
    write_utility(stem.with_name(f"{stem.name}.json"), rows, scores, **trained | conditions)


def scored(labels: np.ndarray, scores: np.ndarray) -> float:
    """AUROC of one run, by scikit-learn's own averaging."""
    if scores.shape[1] == 2:
        return float(roc_auc_score(labels, scores[:, 1]))
    whole = scores.astype(float)  # float32 rows miss a sum of 1 by more than it allows
    return float(roc_auc_score(labels, whole / whole.sum(axis=1, keepdims=True), multi_class="ovr"))


def tables(results: StudyResults) -> tuple[str, str, list[dict[str, str]]]:
    folder = results.folder / "tables"
    utility_table.write_utility_tables(results, folder)
    markdown, latex, long = ((folder / f"utility.{ending}").read_text("utf-8") for ending in ("md", "tex", "csv"))
    return markdown, latex, list(csv.DictReader(io.StringIO(long)))


def sections(markdown: str) -> dict[str, dict[tuple[str, ...], list[str]]]:
    """title -> the cells that name a row -> its numbers"""
    found: dict[str, dict[tuple[str, ...], list[str]]] = {}
    for part in markdown.split("## ")[1:]:
        title, _, body = part.partition("\n")
        lines = [line for line in body.splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
        names = sum(not cell.endswith(":") for cell in cells[1]) if cells else 0
        found[title] = {tuple(row[:names]): row[names:] for row in cells[2:]}
        if cells:
            found[title]["columns",] = cells[0]
    return found


def aurocs(results: StudyResults, arm: str, dataset="xray") -> np.ndarray:
    """Of every run of an arm, straight from its files."""
    files = sorted((results.folder / f"utility/{dataset}/steps/{arm}").glob("*.npz"))
    loaded = [np.load(path) for path in files]
    return np.array([scored(part["test_labels"], run) for part in loaded for run in part["test_scores"]])


STEPS = "(equal optimiser steps)"
GAIN, ALL, OTHER = (
    f"AUROC of ResNet50: real images alone against real + extra images {STEPS}",
    f"AUROC of all arms {STEPS}",
    (f"Other scores on the test split {STEPS}"),
)


def test_auroc_is_mean_and_standard_deviation_over_runs_and_the_gain_their_difference(tmp_path):
    results = fake_run(tmp_path, seeds=(0, 1))
    markdown, _, long = tables(results)
    real, mixed = aurocs(results, "real"), aurocs(results, "real+gen_l2@1")
    assert (len(real), len(mixed)) == (3, 6)
    spelled = [f"{values.mean():.3f} ± {values.std(ddof=1):.3f}" for values in (real, mixed)]
    gain = f"{mixed.mean() - real.mean():+.3f}".replace("-", "−")
    row = sections(markdown)[GAIN]["xray", "gen_l2 ×1"]
    assert row[:2] == spelled
    assert row[2].startswith(f"{gain} [")
    assert sections(markdown)[ALL]["xray", "real + gen_l2 ×1"][0].startswith(f"{spelled[1]} [")
    (delta,) = [r for r in long if (r["arm"], r["metric"]) == ("real+gen_l2@1", "auroc_delta_real")]
    # The csv has 15 or more digits; the last one moves with the order of the sum.
    assert float(delta["value"]) == pytest.approx(mixed.mean() - real.mean(), rel=1e-9)
    assert float(delta["low"]) < float(delta["value"]) < float(delta["high"])


@pytest.mark.parametrize(
    ("low", "high", "cell"),
    [
        (0.001, 0.0604, "+0.030 [+0.001, +0.060]‡"),
        (-0.001, 0.06, "+0.030 [−0.001, +0.060]"),
        (-0.06, -0.02, "+0.030 [−0.060, −0.020]‡"),
        (0.0, 0.06, "+0.030 [+0.000, +0.060]"),
        (np.nan, np.nan, "+0.030"),
    ],
)
def test_a_mark_stands_where_the_interval_leaves_out_0(tmp_path, monkeypatch, low, high, cell):
    def one(results: StudyResults) -> pd.DataFrame:
        numbers = {"runs": 3, "missing_runs": 0, "auroc": 0.8, "sd": 0.01, "low": 0.7, "high": 0.9}
        delta = {"delta_real": 0.03, "delta_real_low": low, "delta_real_high": high}
        rows = [{"dataset": "xray", "budget": "steps", "arm": arm, **numbers} for arm in ("real", "real+gen_l2@1")]
        return pd.DataFrame([rows[0], rows[1] | delta], columns=EFFECT_COLUMNS)

    monkeypatch.setattr(utility_table, "effects", one)
    shown = sections(tables(fake_run(tmp_path, arms=("real", "real+gen_l2@1")))[0])
    assert shown[GAIN]["xray", "gen_l2 ×1"] == ["0.800 ± 0.010", "0.800 ± 0.010", cell]
    assert shown[ALL]["xray", "real + gen_l2 ×1"] == ["0.800 ± 0.010 [0.700, 0.900]", cell]
    assert shown[ALL]["xray", "real"] == ["0.800 ± 0.010 [0.700, 0.900]", "–"]


def test_the_control_stands_among_the_augmenters_and_is_compared_with_at_its_ratio(tmp_path):
    shown = sections(tables(fake_run(tmp_path))[0])
    assert shown[GAIN]["columns",] == ["dataset", "extra images", "real", "real + extra", "gain"]
    assert [images for _, images in list(shown[GAIN])[:-1]] == [
        "repeated real images ×1 (control)",
        "gen_l2 ×0.5",
        "gen_l2 ×1",
    ]
    assert shown[ALL]["columns",][3:] == ["against real", "against repeated real images"]
    against = {arm: cells[2] for (_, arm), cells in list(shown[ALL].items())[:-1]}
    assert against.pop("real + gen_l2 ×1") != "–"
    assert set(against.values()) == {"–"}  # no other arm has as many images as the control


def test_published_values_stand_in_their_own_rows_only(tmp_path):
    markdown, _, long = tables(fake_run(tmp_path, papers=["medienet2025"]))
    rows = [row for names, row in sections(markdown)[GAIN].items() if "published (Yuan et al. 2025)" in names[0]]
    assert rows == [["0.76", "0.82", "+0.06"], ["0.87", "0.94", "+0.07"], ["0.78", "0.82", "+0.04"]]
    published = [row for row in long if row["source"] == "published (Yuan et al. 2025)"]
    assert [(row["dataset"], row["arm"], row["value"]) for row in published[:2]] == [
        ("Chest CT-Scan", "real", "0.76"),
        ("Chest CT-Scan", "real + generated", "0.82"),
    ]
    assert all("doi 10.1186/s12880-025-01909-5; not in the abstract" in row["note"] for row in published)
    assert "published" not in tables(fake_run(tmp_path))[0].lower()


def test_a_missing_arm_and_a_missing_seed_are_gaps(tmp_path):
    results = fake_run(tmp_path, seeds=(0, 1))
    gone = ["real+gen_l2@1/seed1", "real+gen_l2@0.5/seed0", "real+gen_l2@0.5/seed1"]
    for name in gone:
        (tmp_path / f"utility/xray/steps/{name}.json").unlink()
    for made_from in ("datasets/xray", "samples/xray/gen_l2/seed0", "samples/xray/gen_l2/seed1"):
        write_npz(tmp_path / f"{made_from}.npz", {})
    expected = {f"utility/xray/steps/{name}.json": "" for name in gone}
    markdown, _, long = tables(replace(results, expected=expected))
    shown = sections(markdown)
    assert shown[GAIN]["xray", "gen_l2 ×0.5"][1:] == ["missing", "missing"]
    assert shown[ALL]["xray", "real + gen_l2 ×0.5"] == ["missing", "missing", "–"]
    assert shown[OTHER]["xray", "real + gen_l2 ×0.5", "pneumonia"] == ["missing"] * 5
    assert "missing" not in shown[ALL]["xray", "real + gen_l2 ×1 (3 of 6 runs)"]
    first_note = markdown.partition("## Conditions and limits")[2].split("- ")[1]
    assert first_note.startswith(
        "Missing: utility of xray, real+gen_l2@1, seed1: it failed or has not run yet; see logs"
    )
    (gap,) = [row for row in long if row["note"] == "missing"]
    assert (gap["arm"], gap["metric"], gap["value"]) == ("real+gen_l2@0.5", "auroc_mean", "")
    (partly,) = [row for row in long if (row["arm"], row["metric"]) == ("real+gen_l2@1", "auroc_mean")]
    assert partly["note"].endswith("(3 of 6 runs)")


def test_without_the_real_arm_no_gain_is_known(tmp_path):
    results = fake_run(tmp_path)
    (tmp_path / "utility/xray/steps/real/real.json").unlink()
    shown = sections(tables(results)[0])
    assert [shown[GAIN]["xray", "gen_l2 ×1"][i] for i in (0, 2)] == ["missing", "missing"]
    assert shown[ALL]["xray", "real"] == ["missing", "–", "–"]
    assert shown[ALL]["xray", "only gen_l2"][1:] == ["missing", "–"]
    never_asked = replace(results, arms=ARMS[1:])
    assert [sections(tables(never_asked)[0])[GAIN]["xray", "gen_l2 ×1"][i] for i in (0, 2)] == ["–", "–"]


def test_a_study_without_any_result_has_tables_of_gaps(tmp_path):
    results = StudyResults(tmp_path, "s", ("xray",), ("gen_l2",), (0,), "medienet2025", ARMS, ("steps",), (0, 1, 2))
    write_tables(results, tmp_path / "tables")
    names = {path.name for path in (tmp_path / "tables").glob("*.*")}
    assert names == {
        f"{table}.{ending}" for table in ("augmenters", "fid", "utility") for ending in ("csv", "md", "tex")
    }
    shown = sections((tmp_path / "tables/utility.md").read_text())
    assert shown[ALL]["xray", "real + gen_l2 ×1"] == ["missing", "missing", "missing"]
    title = f"AUROC of the classifier: real images alone against real + extra images {STEPS}"
    assert shown[title]["xray", "gen_l2 ×1"] == ["missing"] * 3
    assert shown[title]["tongue, published (Yuan et al. 2025)", "MedIENet, ratio not in the abstract"][2] == "+0.04"


def test_a_study_of_real_images_alone_compares_nothing(tmp_path):
    results = replace(fake_run(tmp_path, arms=("real",)), augmenters=(), seeds=())
    write_tables(results, tmp_path / "tables")
    assert sorted(path.name for path in (tmp_path / "tables").glob("*.*")) == [
        "utility.csv",
        "utility.md",
        "utility.tex",
    ]
    markdown = (tmp_path / "tables/utility.md").read_text()
    assert list(sections(markdown)) == [ALL, OTHER, "Conditions and limits"]
    assert sections(markdown)[ALL]["columns",] == ["dataset", "arm", "AUROC"]
    assert "‡" not in markdown
    assert "generat" not in markdown.partition("## ")[2]


def test_each_budget_has_its_tables(tmp_path):
    markdown = tables(fake_run(tmp_path, budgets=("steps", "epochs")))[0]
    epochs = ALL.replace(STEPS, "(equal epochs, larger sets train longer)")
    shown = sections(markdown)
    assert shown[ALL]["xray", "real"] == shown[epochs]["xray", "real"]  # trained once: both budgets mean the same
    assert "Equal optimiser steps: 150 for every arm." in markdown
    assert "150 steps for a set as large as the real one, more for a larger one (225 at ×0.5, 300 at ×1)." in markdown


def test_classes_stand_apart_where_there_are_more_than_two(tmp_path):
    shown = sections(tables(fake_run(tmp_path, ("xray", "ct")))[0])
    (title,) = [title for title in shown if title.startswith("Each class")]
    assert title == f"Each class of ct against the rest, on the test split {STEPS}"
    assert shown[title]["ct", "real", r"a\|c"] == ["0.900 ± 0.000", "0.800 ± 0.000", "0.700 ± 0.000"]
    assert shown[title]["ct", "real", "other"][0] == "0.700 ± 0.000"
    assert shown[OTHER]["ct", "real", "mean over classes"][:3] == ["0.700 ± 0.000", "0.650 ± 0.000", "0.700 ± 0.100"]


def test_csv_holds_every_value_of_every_run_with_its_conditions(tmp_path):
    long = tables(fake_run(tmp_path, seeds=(4, 5)))[2]
    runs = [row for row in long if row["source"] == "this run"]
    assert len(runs) == 3 * (2 + 3 * 2) * (7 + 2 * 5)  # seeds, files, scores over all and by class
    (row,) = [
        row
        for row in runs
        if [row[name] for name in ("arm", "generator_seed", "classifier_seed", "metric", "class")]
        == ["real+gen_l2@0.5", "5", "2", "macro_f1", ""]
    ]
    assert (row["augmenter"], row["ratio"], row["value"]) == ("gen_l2", "0.5", "0.8")
    assert (row["condition.versions.torch"], row["condition.n_extra"]) == ("2.11.0", "100")


def test_csv_says_which_interval_it_holds(tmp_path):
    def notes(results: StudyResults) -> dict[tuple[str, str], str]:
        over_runs = [row for row in tables(results)[2] if row["source"] == "this run, over seeds and test images"]
        return {(row["arm"], row["metric"]): row["note"] for row in over_runs}

    found = notes(fake_run(tmp_path, seeds=(0, 1)))
    assert {metric for _, metric in found} == {"auroc_mean", "auroc_sd", "auroc_delta_real", "auroc_delta_oversample"}
    bootstrap = "95 % percentile bootstrap interval over seeds and test images, 1000 draws"
    readers = (
        "95 % multi-reader multi-case interval (Obuchowski and Rockette 1995, Hillis 2007) over classifier seeds, "
    )
    assert found["real", "auroc_mean"] == bootstrap
    assert found["real+oversample@1", "auroc_delta_real"] == f"{readers}test images"
    assert found["real+gen_l2@1", "auroc_delta_oversample"] == f"{readers}generator seeds, test images"
    partly = fake_run(tmp_path, seeds=(0, 1))
    (tmp_path / "utility/xray/steps/real+gen_l2@1/seed1.json").unlink()
    assert notes(partly)["real+gen_l2@1", "auroc_delta_real"] == f"{readers}test images. {ONE_GENERATOR} (3 of 6 runs)"
    alone = replace(fake_run(tmp_path), classifier_seeds=(0,))
    assert notes(alone)["real+gen_l2@1", "auroc_delta_real"] == "no interval with one classifier seed"


def test_the_conditions_stand_below(tmp_path):
    markdown = tables(fake_run(tmp_path, ("xray", "ct")))[0]
    for sentence in (
        "Classifier: ResNet50, from scratch, images resized to 64×64; AdamW, cosine, from learning rate 0.001 to 0,",
        "random shifts of at most 6.25 % of the side, and random mirroring where a dataset's card allows it (ct; not",
        "the highest AUROC of 10 evenly spaced checks (ties: the lowest loss)",
        "The test split was scored once.",
        "xray: XRAY, 28×28×1; real images: 200 train, 20 val, 40 test; extra images: 100 at ×0.5, 200 at ×1.",
        "The generators saw the same real training images as the classifiers, and no others.",
        "In brackets after an AUROC: 95 % percentile interval of a bootstrap (1000 draws)",
        "those of one patient together where patients are known. With so few seeds it is too narrow.",
        "In brackets after a difference: 95 % multi-reader multi-case interval (Obuchowski and Rockette 1995, Hillis",
        "it leaves out 0 up to 8 times (simulated).",
        "not corrected for the number of comparisons",
        "Package versions: torch 2.11.0.",
        "Other conditions: deterministic False, device cpu, hardware x86_64, precision fp32, torch threads 1.",
    ):
        assert sentence in markdown
    assert "differ in" not in markdown
    assert "card allows it (none here)" in tables(fake_run(tmp_path))[0]


def test_the_caveat_of_one_generator_stands_in_the_cell_and_under_its_table(tmp_path):
    markdown, latex, long = tables(fake_run(tmp_path / "one"))
    shown = sections(markdown)
    (own, control) = (shown[ALL]["xray", arm][1] for arm in ("real + gen_l2 ×1", "real + oversample ×1"))
    assert own.rstrip("§‡").endswith("]") and own.endswith("§")
    assert control.rstrip("‡").endswith("]")
    for title in (GAIN, ALL):
        part = markdown.partition(f"## {title}")[2].partition("## ")[0]
        assert part.splitlines()[-2].startswith("§ One generator seed: ") and "16–20 %" in part
    notes = markdown.partition("## Conditions and limits")[2]
    assert "16–20 %" not in notes + markdown.partition(f"## {OTHER}")[2].partition("## ")[0]
    assert latex.count(r"\S{} One generator seed") == 2
    caveats = {row["arm"] for row in long if "16–20 %" in row["note"]}
    assert caveats == {"real+gen_l2@0.5", "real+gen_l2@1", "only-gen_l2"}
    markdown, _, long = tables(fake_run(tmp_path / "three", seeds=(0, 1, 2)))
    assert "§" not in markdown
    assert not any("16–20 %" in row["note"] for row in long)


def test_whether_patients_are_known_is_said_of_each_dataset(tmp_path):
    results = fake_run(tmp_path, ("xray", "ct"))
    path = tmp_path / "datasets/xray.json"
    write_json(path, read_json(path) | {"patients": "known"})
    notes = tables(results)[0].partition("## Conditions and limits")[2].splitlines()
    said = [line for line in notes if line.startswith("- Patients of ")]
    assert said == ["- Patients of xray: known.", "- Patients of ct: not known, each image counts by itself."]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"precision": "bf16", "init": "imagenet"}, "they differ in init and precision."),
        ({"dataset_sha256": "e" * 64}, "they differ in dataset sha256."),
        ({"versions": {"torch": "2.12.0"}}, "they differ in versions.torch."),
    ],
)
def test_conditions_that_should_agree_and_do_not_are_said(tmp_path, changed, said):
    assert said in tables(fake_run(tmp_path, changed=changed))[0]


def test_phantoms_are_no_evidence(tmp_path):
    markdown, _, long = tables(fake_run(tmp_path, source="procedural phantom"))
    assert "- Procedural phantoms, drawn by a program: no evidence on patients (xray)." in markdown
    assert all(row["warning"].startswith("Procedural phantoms") for row in long)
    assert "hantom" not in "".join(map(str, tables(fake_run(tmp_path))))


def test_a_class_that_a_split_lacks_is_said(tmp_path):
    markdown = tables(fake_run(tmp_path, ("ct",), absent={"test": ["other"]}))[0]
    assert "ct: no image of other in test; what needs one is not defined there" in markdown


def test_latex_is_escaped_and_balanced(tmp_path):
    latex = tables(fake_run(tmp_path, ("xray", "ct"), papers=["medienet2025"]))[1]
    body = "\n".join(line for line in latex.splitlines() if r"\label" not in line and not line.startswith("%"))
    assert "_" not in body.replace(r"\_", "")
    assert body.isascii()
    for name in ("table", "tabular", "itemize"):
        assert latex.count(rf"\begin{{{name}}}") == latex.count(rf"\end{{{name}}}") > 0
    for tabular in latex.split(r"\begin{tabular}")[1:]:
        columns = len(tabular[1 : tabular.index("}")])
        rows = [line for line in tabular.split(r"\end{tabular}")[0].splitlines() if " & " in line]
        assert {line.count(" & ") for line in rows} == {columns - 1}


def test_same_bytes_again(tmp_path):
    assert tables(fake_run(tmp_path, seeds=(0, 1))) == tables(fake_run(tmp_path, seeds=(0, 1)))
