"""The leakage table: numbers from the files, gaps as gaps, and what they do not show."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medbench.report.leakage import leaks
from medbench.report.tables.leakage_notes import leakage_notes
from medbench.report.tables.leakage_table import leakage_tables, write_leakage_tables
from medbench.report.tables.write import write_tables
from medbench.run.formats import read_json, read_npz
from tests.helpers.files import remove
from tests.helpers.records import write_json, write_npz

PAIR = "ct_aspub → ct (clean)"
pytestmark = pytest.mark.usefixtures("few_draws")


def rows(results) -> dict[tuple[str, str], list[str]]:
    (table,) = leakage_tables(results)
    assert {len(row) for row in table.rows} == {len(table.columns)}
    return {(row[0], row[1]): list(row[2:]) for row in table.rows}


def aurocs(results, dataset: str, arm: str, origin="real") -> np.ndarray:
    arrays = read_npz(results.folder / f"utility/{dataset}/steps/{arm}/{origin}.npz")
    whole = arrays["test_scores"].astype(float)
    whole /= whole.sum(axis=2, keepdims=True)
    return np.array([roc_auc_score(arrays["test_labels"], run, multi_class="ovr") for run in whole])


def test_both_protocols_and_their_difference_stand_in_a_row(protocol_run, tmp_path):
    results = protocol_run(tmp_path)
    sizes, published, other, difference, interval = rows(results)[PAIR, "real"]
    own, its = aurocs(results, "ct_aspub", "real"), aurocs(results, "ct", "real")
    assert sizes == "90 → 60"
    assert published == f"{own.mean():.3f} ± {own.std(ddof=1):.3f}"
    assert other == f"{its.mean():.3f} ± {its.std(ddof=1):.3f}"
    assert own.mean() - its.mean() > 0.05  # the fixture leaks
    assert difference == f"+{(own - its).mean():.3f} ± {(own - its).std(ddof=1):.3f}"
    found = next(leak.difference for leak in leaks(results) if leak.arm == "real")
    assert interval == f"[{found.low:+.3f}, {found.high:+.3f}]".replace("-", "−") + ("‡" if found.low > 0 else "")


def test_the_caveat_of_one_generator_stands_with_its_intervals(protocol_run, tmp_path):
    one = protocol_run(tmp_path / "one", seeds=(0,))
    found = rows(one)
    assert found[PAIR, "real + a ×1"][4].endswith("§")
    assert "§" not in found[PAIR, "real"][4]
    assert leakage_tables(one)[0].foot.startswith("§ One generator seed: ")
    three = protocol_run(tmp_path / "three", seeds=(0, 1, 2))
    assert "§" not in "".join(rows(three)[PAIR, "real + a ×1"]) + leakage_tables(three)[0].foot


def test_published_values_stand_beside_ours_as_published(protocol_run, tmp_path):
    found = rows(protocol_run(tmp_path, papers=["medienet2025"]))
    source = "Chest CT-Scan, published (Yuan et al. 2025)"
    assert found[source, "real"] == ["–", "0.76", "–", "–", "–"]
    assert found[source, "real + MedIENet, ratio not in the abstract"] == ["–", "0.82", "–", "–", "–"]
    assert len(found) == 4 + 6
    assert all("published" not in data for data, _ in rows(protocol_run(tmp_path)))


def test_gaps_are_shown_as_missing(protocol_run, tmp_path):
    results = protocol_run(tmp_path, seeds=(0, 1))
    (tmp_path / "utility/ct/steps/real/real.json").unlink()
    (tmp_path / "utility/ct/steps/real+a@1/seed1.json").unlink()
    found = rows(results)
    assert found[PAIR, "real"][2:] == ["missing", "missing", "missing"]
    assert found[PAIR, "real"][1] != "missing"
    assert "missing" not in found[PAIR, "real + a ×1 (3 of 6 runs)"]
    remove(tmp_path / "datasets/ct.json")
    assert rows(results)["ct_aspub → ct", "only a"][0] == "90 → missing"


def test_one_classifier_seed_claims_nothing(protocol_run, tmp_path):
    results = protocol_run(tmp_path, arms=("real",), classifier_seeds=(0,))
    _, published, _, difference, interval = rows(results)[PAIR, "real"]
    assert "±" not in published + difference
    assert interval == "–"
    assert "With fewer than 3 classifier seeds no difference is claimed." in " ".join(leakage_notes(results))


def test_notes_say_what_was_removed_and_what_a_difference_is_not(protocol_run, tmp_path):
    results = protocol_run(tmp_path, papers=["medienet2025"])
    said = " ".join(leakage_notes(results))
    for sentence in (
        "as published: all images, in the splits that they came with; a split that did not come is drawn by seed;"
        " clean: one copy of each distinct image",
        "Splits of ct_aspub: train, val and test as published.",
        "ct_aspub and ct have the same test images; what was learned from differs.",
        "clean is not free of leaks: near duplicates and groups (such as patients) that stand in two splits stay",
        "ct_aspub: 3 of 12 test images stand in train too.",
        "ct: 5 of 60 images removed, 3 that repeat another and 2 with two labels: 5 of train.",
        "A difference of two protocols is not the share of an AUROC that is leakage: training set, test set and the",
        "multi-reader multi-case interval for unpaired cases",
        "degrees of freedom as Hillis 2007 gives them for paired cases",
        "With 3 classifier seeds it errs more often",
        "; not in the abstract (the full text was not consulted): splits,",
        "They stand under `as published`, as the abstract names no other split.",
    ):
        assert sentence in said
    for word in ("resplit", "flatters", "as it came"):
        assert word not in said
    resplit = " ".join(leakage_notes(protocol_run(tmp_path, protocol="resplit")))
    assert "resplit: " in resplit
    assert "clean is not free of leaks" not in resplit
    for name in ("ct", "ct_aspub"):
        (tmp_path / f"audit/{name}.json").unlink()
    without = leakage_notes(results)
    assert "ct: how many images were removed is not known, as its audit is not there." in without
    assert not any(sentence.startswith("ct_aspub:") for sentence in without)


def test_near_duplicates_and_groups_that_stay_are_told_below(protocol_run, tmp_path):
    results = protocol_run(tmp_path, arms=("real",))
    for name in results.datasets:
        path = tmp_path / f"audit/{name}.json"
        found = read_json(path)
        groups = [{"split": "test", "other": "train", "groups": 4, "images": 9}]
        write_json(path, found | {"groups": groups, "groups_after": 4, "near": found["near"] | {"across_after": 6}})
    said = leakage_notes(results)
    assert any("9 of 12 test images carry one of 4 group names of train too" in s for s in said)
    assert any("; what stays: 6 pairs of near duplicates in different splits and 4 groups with" in s for s in said)


def test_identical_datasets_have_no_difference_and_a_drawn_split_is_not_called_published(protocol_run, tmp_path):
    results = protocol_run(tmp_path, arms=("real",))
    change(tmp_path / "audit/ct.json", removals=[])
    note = "val (0.1) and test (0.2) drawn from the training images by seed 0: stratified by class, whole groups"
    change(tmp_path / "datasets/ct_aspub.json", notes=[note])
    found = rows(results)["ct_aspub (as it came) → ct (clean), identical", "real"]
    assert found[3:] == ["–", "–"]
    assert "–" not in found[:3]
    said = leakage_notes(results)
    assert "ct_aspub and ct are identical, as nothing was removed: no difference is shown." in said
    assert f"Splits of ct_aspub: neither val nor test was published; {note}." in said
    assert any("is marked `as it came`: it tests no published split" in sentence for sentence in said)
    assert not any("one test set is harder" in sentence for sentence in said)
    write_leakage_tables(results, tmp_path / "out")
    told = csv.DictReader(io.StringIO((tmp_path / "out/leakage.csv").read_text("utf-8")))
    (difference,) = [row for row in told if row["metric"] == "auroc_difference"]
    assert (difference["value"], difference["note"]) == ("", "both datasets are identical")


def change(path, **values) -> None:
    write_json(path, read_json(path) | values)


def test_only_gaps_and_cautions_of_the_pair_stand_below(protocol_run, tmp_path):
    results = protocol_run(tmp_path, datasets=("xray", "ct_aspub", "ct"))
    card = read_json(tmp_path / "datasets/ct.json")
    write_json(tmp_path / "datasets/xray.json", card | {"name": "xray", "accepted": ["other files"]})
    for name in ("xray", "ct"):
        write_npz(tmp_path / f"datasets/{name}.npz", {})
    gone = [f"utility/{name}/steps/real+oversample@1/real.json" for name in ("xray", "ct")]
    (tmp_path / gone[1]).unlink()
    said = leakage_notes(replace(results, expected=dict.fromkeys(gone, "")))
    assert said[0].startswith("Missing: utility of ct, real+oversample@1:")
    assert not any("xray" in sentence for sentence in said)


def test_csv_holds_every_run_and_says_whose_it_is(protocol_run, tmp_path):
    results = protocol_run(tmp_path, seeds=(0, 1), papers=["medienet2025"])
    (tmp_path / "utility/ct/steps/only-a/seed0.json").unlink()
    (tmp_path / "utility/ct/steps/only-a/seed1.json").unlink()
    write_leakage_tables(results, tmp_path / "out")
    long = list(csv.DictReader(io.StringIO((tmp_path / "out/leakage.csv").read_text("utf-8"))))
    runs = [row for row in long if row["metric"] == "auroc" and row["source"] == "this run"]
    assert len(runs) == 2 * 3 * (1 + 1 + 2 + 2) - 6
    (run,) = [
        row
        for row in runs
        if [row[k] for k in ("dataset", "arm", "generator_seed", "classifier_seed")] == ["ct", "real+a@1", "1", "2"]
    ]
    assert float(run["value"]) == pytest.approx(aurocs(results, "ct", "real+a@1", "seed1")[2])
    assert [run[k] for k in ("as_published", "other", "protocol", "n_test")] == ["ct_aspub", "ct", "clean", "60"]
    by_arm = {row["arm"]: row for row in long if row["metric"] == "auroc_difference"}
    found = {leak.arm: leak.difference for leak in leaks(results)}
    for arm in ("real", "real+a@1"):
        told = [float(by_arm[arm][key]) for key in ("value", "low", "high")]
        assert told == pytest.approx([found[arm].mean, found[arm].low, found[arm].high])
    assert (by_arm["only-a"]["value"], by_arm["only-a"]["note"]) == ("", "missing")
    assert [row["value"] for row in long if row["source"].startswith("published")][:2] == ["0.76", "0.82"]


def test_each_budget_has_its_table_and_latex_holds_it(protocol_run, tmp_path):
    results = protocol_run(tmp_path, budgets=("steps", "epochs"))
    assert [table.key for table in leakage_tables(results)] == ["leakage-steps", "leakage-epochs"]
    write_leakage_tables(results, tmp_path / "out")
    latex = (tmp_path / "out/leakage.tex").read_text("utf-8")
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 4  # each with that within models
    assert r"ct\_aspub $\rightarrow$ ct (clean)" in latex
    assert latex.isascii()


@pytest.mark.parametrize(("changed", "has"), [({}, True), ({"protocols": ()}, False), ({"arms": ()}, False)])
def test_only_a_study_with_a_pair_and_arms_has_the_table(protocol_run, tmp_path, changed, has):
    results = replace(protocol_run(tmp_path, arms=("real",)), **changed)
    write_tables(results, tmp_path / "tables")
    assert (tmp_path / "tables/leakage.md").exists() == has
