"""The leakage table: numbers from the files, gaps as gaps, and what they do not show."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medbench.files import read_json, read_npz, write_json
from medbench.report.leakage import leaks
from medbench.report.tables.leakage_notes import leakage_notes
from medbench.report.tables.leakage_table import leakage_tables, write_leakage_tables
from medbench.report.tables.write import write_tables

PAIR = "ct_aspub → ct (clean)"


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


def test_published_values_stand_beside_ours_as_published(protocol_run, tmp_path):
    found = rows(protocol_run(tmp_path, papers=["medienet2025"]))
    source = "Chest CT-Scan, published (Yuan et al. 2025)"
    assert found[source, "real"] == ["–", "0.76", "–", "–", "–"]
    assert found[source, "real + MedIENet, ratio not public"] == ["–", "0.82", "–", "–", "–"]
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
    (tmp_path / "datasets/ct.json").unlink()
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
        "as published: all images, in the splits as they were published; clean: one copy of each distinct image",
        "ct_aspub: 3 of 12 test images stand in train too.",
        "ct: 5 of 60 images removed, 3 that repeat another and 2 with two labels: 5 of train.",
        "The two test sets are not the same images",
        "the test images of each of the two sets drawn on their own",
        "With 3 classifier seeds it errs more often",
        "They stand under `as published`, as the paper names no other split. Not public: splits,",
        "not of the augmenter in general",
    ):
        assert sentence in said
    assert "resplit" not in said
    assert "resplit: " in " ".join(leakage_notes(protocol_run(tmp_path, protocol="resplit")))
    for name in ("ct", "ct_aspub"):
        (tmp_path / f"audit/{name}.json").unlink()
    without = leakage_notes(results)
    assert "ct: how many images were removed is not known, as its audit is not there." in without
    assert not any(sentence.startswith("ct_aspub:") for sentence in without)


def test_only_gaps_and_cautions_of_the_pair_stand_below(protocol_run, tmp_path):
    results = protocol_run(tmp_path, datasets=("xray", "ct_aspub", "ct"))
    card = read_json(tmp_path / "datasets/ct.json")
    write_json(tmp_path / "datasets/xray.json", card | {"name": "xray", "accepted": ["other files"]})
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
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 2
    assert r"ct\_aspub $\rightarrow$ ct (clean)" in latex
    assert latex.isascii()


@pytest.mark.parametrize(("changed", "has"), [({}, True), ({"protocols": ()}, False), ({"arms": ()}, False)])
def test_only_a_study_with_a_pair_and_arms_has_the_table(protocol_run, tmp_path, changed, has):
    results = replace(protocol_run(tmp_path, arms=("real",)), **changed)
    write_tables(results, tmp_path / "tables")
    assert (tmp_path / "tables/leakage.md").exists() == has
