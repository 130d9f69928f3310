"""The same classifiers without test images that stand in train or val, against AUROC counted on those rows alone."""

from dataclasses import replace

import numpy as np
import pytest

from medbench.core.errors import UserError
from medbench.report.tables.leakage_table import write_leakage_tables
from medbench.report.tables.within_table import within_notes, within_rows, within_tables
from medbench.report.within import within_models
from medbench.run.formats import read_json, read_npz
from medbench.utility.scores import macro_auroc
from tests.helpers.records import record, write_json, write_npz

COPIED = [0, 3, 4, 6]  # classes 0, 0, 1, 0


def only(results):
    (found,) = [within for within in within_models(results) if within.arm == "real"]
    return found


def row(results, arm="real") -> list[str]:
    (table,) = within_tables(results)
    (found,) = [row for row in table.rows if row[1] == arm]
    assert len(found) == len(table.columns)
    return found


def test_the_rest_is_scored_by_the_same_classifiers(protocol_run, write_audit, tmp_path):
    results = protocol_run(tmp_path, seeds=(0, 1))
    write_audit(tmp_path, in_train=COPIED[:3], in_val=COPIED[3:])
    arrays = read_npz(tmp_path / "utility/ct_aspub/steps/real/real.npz")
    kept = np.setdiff1d(np.arange(90), COPIED)
    whole, rest = (
        np.array([macro_auroc(arrays["test_labels"][rows], run[rows]) for run in arrays["test_scores"]])
        for rows in (np.arange(90), kept)
    )
    found = only(results)
    assert (found.images, found.left, found.reason) == (90, 86, "")
    np.testing.assert_allclose(found.differences, whole - rest)
    assert row(results) == [
        "ct_aspub",
        "real",
        "90 → 86",
        f"{whole.mean():.3f} ± {whole.std(ddof=1):.3f}",
        f"{rest.mean():.3f} ± {rest.std(ddof=1):.3f}",
        f"{(whole - rest).mean():+.3f} ± {(whole - rest).std(ddof=1):.3f}".replace("-", "−"),
    ]
    said = " ".join(within_notes(results))
    assert "ct_aspub: left out 4 of 90 test images (3 of 30 adenocarcinoma, 1 of 30 normal, 0 of 30 squamous" in said
    long = {(r["metric"], r["arm"], r.get("classifier_seed")): r.get("value") for r in within_rows(results)}
    assert long["auroc_without_copies", "real", 2] == pytest.approx(rest[2])
    assert long["auroc_copies_difference", "real", None] == pytest.approx((whole - rest).mean())


def test_a_difference_is_a_mean_over_generator_seeds_and_spreads_over_classifier_seeds(
    protocol_run, write_audit, tmp_path
):
    results = protocol_run(tmp_path, arms=("real+a@1",), seeds=(0, 1))
    write_audit(tmp_path, in_train=COPIED)
    (found,) = within_models(results)
    by_run = (found.runs["whole"] - found.runs["rest"]).to_numpy().reshape(2, 3)
    np.testing.assert_allclose(found.differences, by_run.mean(axis=0))


def test_images_that_leak_what_was_learned_are_found_out(protocol_run, write_audit, tmp_path):
    results = protocol_run(tmp_path, arms=("real",))
    write_audit(tmp_path, in_train=range(30))
    path = tmp_path / "utility/ct_aspub/steps/real/real.npz"
    arrays = read_npz(path)
    scores = np.full((3, 90, 3), 1 / 3, np.float32)
    scores[:, :30] = np.eye(3)[arrays["test_labels"][:30]]  # known by heart; the rest are guessed
    write_npz(path, arrays | {"test_scores": scores})
    found = only(results)
    assert found.runs["rest"].tolist() == [0.5] * 3
    assert found.differences.min() > 0.1


def test_a_class_that_vanishes_leaves_no_auroc(protocol_run, write_audit, tmp_path):
    results = protocol_run(tmp_path, arms=("real",))
    write_audit(tmp_path, in_train=range(1, 90, 3))
    assert only(results).reason == "no image of class normal is left"
    assert row(results)[2] == "90 → 60"
    assert row(results)[4:] == ["not defined", "–"]
    assert "; not defined, as no image of class normal is left." in " ".join(within_notes(results))
    (told,) = within_rows(results)
    assert told["note"] == "not defined: no image of class normal is left"


def test_without_copies_nothing_is_left_out(protocol_run, write_audit, tmp_path):
    results = protocol_run(tmp_path, arms=("real",))
    write_audit(tmp_path)
    assert row(results)[2] == "90 → 90"
    assert row(results)[4:] == ["–", "–"]
    assert "ct_aspub: no test image stands in train or val, so that none is left out." in within_notes(results)


def test_one_classifier_seed_has_no_spread(protocol_run, write_audit, tmp_path):
    results = replace(protocol_run(tmp_path, arms=("real",)), classifier_seeds=(0,))
    write_audit(tmp_path, in_train=COPIED)
    assert "±" not in " ".join(row(results))
    assert not any(told["metric"].endswith("_sd") for told in within_rows(results))


@pytest.mark.parametrize("how", ["gone", "another version", "other rows"])
def test_an_audit_that_is_not_of_the_tested_images_tells_nothing(protocol_run, write_audit, tmp_path, how):
    results = protocol_run(tmp_path, arms=("real",))
    write_audit(tmp_path, in_train=COPIED)
    path = tmp_path / "audit/ct_aspub.json"
    found = read_json(path)
    match how:
        case "gone":
            path.unlink()
        case "another version":
            record(path, made_with="another section")
        case "other rows":
            write_json(path, found | {"before": found["before"] | {"test": [30, 30, 29]}})
    assert only(results).reason == "which test images stand in train or val is not known"
    assert row(results)[2] == "90 → –"
    assert any(
        "ct_aspub: which test images stand in train or val is not known" in told for told in within_notes(results)
    )


def test_a_gap_is_missing(protocol_run, write_audit, tmp_path):
    results = protocol_run(tmp_path, arms=("real",))
    write_audit(tmp_path, in_train=COPIED)
    (tmp_path / "utility/ct_aspub/steps/real/real.json").unlink()
    assert row(results)[2:] == ["missing"] * 4


def test_an_audit_that_cannot_be_read_is_named(protocol_run, write_audit, tmp_path):
    results = protocol_run(tmp_path, arms=("real",))
    write_audit(tmp_path)
    path = tmp_path / "audit/ct_aspub.json"
    path.write_text(path.read_text().replace("90", "91", 1))
    with pytest.raises(UserError, match=r"ct_aspub\.json: is damaged \(its content is not what its record says\)"):
        within_models(results)


def test_it_stands_second_in_every_file_and_a_drawn_test_split_is_marked(protocol_run, write_audit, tmp_path):
    results = protocol_run(tmp_path, arms=("real",))
    write_audit(tmp_path, in_train=COPIED)
    path = tmp_path / "datasets/ct_aspub.json"
    note = "val (0.1) and test (0.2) drawn from the training images by seed 0: stratified by class, whole groups"
    write_json(path, read_json(path) | {"notes": [note]})
    assert row(results)[0] == "ct_aspub (as it came)"
    write_leakage_tables(results, tmp_path / "out")
    plain, latex, long = ((tmp_path / f"out/leakage.{end}").read_text("utf-8") for end in ("md", "tex", "csv"))
    assert plain.index("under another protocol (equal") < plain.index("## Same classifiers, test images that also")
    assert r"\label{tab:leakage-within-steps}" in latex
    assert latex.isascii()
    assert long.count("auroc_without_copies,") == 3
