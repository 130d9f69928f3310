"""The ablation table: which parts are on, what each change costs, and when a difference is claimed."""

import csv
import io

import pytest

from medbench.report.ablation import difference_from, members, parts
from medbench.report.results import StudyResults
from medbench.report.tables.ablation_table import ablation_tables, write_ablation_tables
from medbench.report.tables.write import write_tables
from tests.helpers.files import remove

ARMS = ("real", "real+medienet@1", "real+medienet@2", "real+norope@2", "real+norope@1", "real+nomodule@0.5")
GENERATORS = ("medienet", "norope", "nomodule")
pytestmark = pytest.mark.usefixtures("few_draws")


def rows(results: StudyResults, key: str) -> dict[str, list[str]]:
    """augmenter -> the cells behind it."""
    (table,) = [table for table in ablation_tables(results) if table.key == f"ablation-{key}"]
    assert {len(row) for row in table.rows} == {len(table.columns)}
    return {row[1]: list(row[2:]) for row in table.rows}


def written(results: StudyResults) -> tuple[str, list[dict[str, str]]]:
    write_ablation_tables(results, results.folder / "out")
    markdown, long = ((results.folder / f"out/ablation.{ending}").read_text("utf-8") for ending in ("md", "csv"))
    return markdown, list(csv.DictReader(io.StringIO(long)))


@pytest.fixture
def with_arms(field_run, classifier_run, tmp_path):
    """A function: the study with arms whose scores are drawn at random, 3 classifier seeds."""

    def make(seeds=(0, 1, 2), arms=ARMS) -> StudyResults:
        classifier_run(tmp_path, {"ct": ["a", "b"]}, arms, GENERATORS, seeds, ("steps",))
        return field_run(tmp_path, "ablation", seeds=seeds, arms=arms)

    return make


def test_rows_are_of_the_whole_models_kind_the_whole_first(field_run, tmp_path):
    assert members(field_run(tmp_path, "ablation")) == ["medienet", "norope", "nomodule"]
    assert members(field_run(tmp_path, "field")) == []


def test_parts_are_those_that_act(field_run, tmp_path):
    """Without the module none of its parts is there, whatever its switch says."""
    assert rows(field_run(tmp_path, "ablation"), "parts") == {
        "medienet": ["the whole", "yes", "yes", "yes", "yes", "yes", "yes", "2,000"],
        "norope": ["without RoPE", "yes", "yes", "yes", "yes", "no", "yes", "2,000"],
        "nomodule": ["without multi-attention", "no", "no", "no", "no", "yes", "yes", "1,250"],
    }


def test_a_model_without_switches_differs_by_its_settings(field_run, tmp_path):
    results = field_run(tmp_path, "field", augmenters=["pixels", "copy"], ablation="pixels")
    assert rows(results, "parts") == {"pixels": ["the whole", "900"]}
    assert parts({"kind": "ldm", "widths": [8]}) == {}
    whole = {"rope": True, "loss": "l2", "log_every": 5, "model": None}
    assert difference_from({"rope": True, "loss": "l1", "log_every": 9, "model": "x"}, whole) == "loss l1"
    assert difference_from(whole, whole | {"rope": False}) == "with RoPE"


def test_fid_and_its_difference_are_paired_by_seed(field_run, tmp_path):
    results = field_run(tmp_path, "ablation")
    assert rows(results, "numbers")["norope"] == ["9.00 ± 2.00", "90.0 ± 20.0†"]  # 7, 9, 11
    differences = rows(results, "differences")
    # 2, 3, 4: mean 3, sd 1; half the 95 % interval is 4.303 / sqrt(3) = 2.48.
    assert differences["norope − medienet"] == ["+3.0 ± 2.5‡", "+30 ± 25‡"]
    assert list(differences) == ["norope − medienet", "nomodule − medienet"]


def test_few_seeds_claim_nothing(field_run, tmp_path):
    results = field_run(tmp_path, "ablation", seeds=(0, 1))
    assert rows(results, "differences")["norope − medienet"] == ["+2.50", "+25.0"]
    markdown, long = written(results)
    assert "with fewer than 3 none is claimed" in markdown
    assert "‡" not in markdown
    differences = [row for row in long if row["metric"] == "fid_minus_whole"]
    assert all(row["low"] == "" and "too few for a claim" in row["note"] for row in differences)


def test_a_gap_is_a_gap(field_run, tmp_path):
    results = field_run(tmp_path, "ablation")
    for seed in (0, 1, 2):
        (tmp_path / f"fidelity/ct/nomodule/seed{seed}.json").unlink()
    (tmp_path / "fidelity/ct/norope/seed2.json").unlink()
    remove(tmp_path / "models/ct/norope/seed0")
    numbers = rows(results, "numbers")
    assert numbers["nomodule"] == ["missing", "missing"]
    assert numbers["norope (2 of 3 runs)"] == ["8.00 ± 1.41", "80.0 ± 14.1†"]
    assert rows(results, "differences") == {
        "norope − medienet": ["+2.50", "+25.0"],  # two pairs: no interval
        "nomodule − medienet": ["missing", "missing"],
    }
    gaps = [row["generator_seed"] for row in written(results)[1] if row["note"] == "missing" and row["metric"] == "fid"]
    assert gaps == ["2", "0", "1", "2"]


def test_auroc_is_that_of_the_first_mixed_arm_against_the_wholes_at_its_ratio(with_arms):
    results = with_arms()
    auroc = {name: cells[-1] for name, cells in rows(results, "numbers").items()}
    assert [text.rpartition("×")[2] for text in auroc.values()] == ["1", "2", "0.5"]
    long = written(results)[1]
    means = {row["arm"]: float(row["value"]) for row in long if row["metric"] == "auroc_mean"}
    assert auroc["norope"].startswith(f"{means['real+norope@2']:.3f} ± ")
    differences = {name: cells[-1] for name, cells in rows(results, "differences").items()}
    assert differences["nomodule − medienet"] == "–"  # the whole model has no arm at ×0.5
    (difference,) = [row for row in long if row["metric"] == "auroc_minus_whole"]
    assert (difference["augmenter"], difference["arm"]) == ("norope", "real+norope@2")
    assert float(difference["low"]) < float(difference["value"]) < float(difference["high"])
    sign = "+" if float(difference["value"]) > 0 else "−"
    assert differences["norope − medienet"].startswith(f"{sign}{abs(float(difference['value'])):.3f} [")


def test_auroc_of_an_arm_that_was_not_run_is_missing(with_arms, tmp_path):
    results = with_arms()
    for seed in results.seeds:
        (tmp_path / f"utility/ct/steps/real+medienet@2/seed{seed}.json").unlink()
        (tmp_path / f"utility/ct/steps/real+nomodule@0.5/seed{seed}.json").unlink()
    assert rows(results, "numbers")["nomodule"][-1] == "missing"
    assert rows(results, "differences")["norope − medienet"][-1] == "missing"


def test_without_arms_there_is_no_auroc(field_run, tmp_path):
    markdown = written(field_run(tmp_path, "ablation"))[0]
    assert "AUROC" not in markdown


def test_the_caveat_of_one_generator_stands_with_its_intervals(with_arms):
    markdown, long = written(with_arms(seeds=(0,)))[:2]
    assert "]§" in markdown or "]‡§" in markdown
    assert markdown.count("§ One generator seed: ") == 1
    assert ["16–20 %" in row["note"] for row in long if row["metric"] == "auroc_minus_whole"] == [True]
    assert "§" not in written(with_arms())[0]


def test_only_an_ablation_study_has_the_table(field_run, tmp_path):
    for study in ("field", "ablation"):
        results = field_run(tmp_path / study, study)
        write_tables(results, results.folder / "tables")
        assert (results.folder / "tables/ablation.md").exists() == (study == "ablation")


def test_same_bytes_again(with_arms, tmp_path):
    results = with_arms()
    for folder in ("one", "two"):
        write_ablation_tables(results, tmp_path / folder)
    for ending in ("csv", "md", "tex"):
        texts = [(tmp_path / folder / f"ablation.{ending}").read_bytes() for folder in ("one", "two")]
        assert texts[0] == texts[1]
    latex = (tmp_path / "one/ablation.tex").read_text("utf-8")
    assert latex.isascii()
