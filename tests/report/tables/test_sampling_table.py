"""The sampling table: settings beside fidelity, for every way to sample one model."""

import csv
import io

from medbench.report.results import StudyResults
from medbench.report.sampling import ways
from medbench.report.tables.sampling_table import sampling_tables, write_sampling_tables
from medbench.report.tables.write import write_tables


def rows(results: StudyResults, metric: str) -> dict[str, list[str]]:
    """augmenter -> the cells behind it."""
    (table,) = [table for table in sampling_tables(results) if table.key == f"sampling-{metric}"]
    assert {len(row) for row in table.rows} == {len(table.columns)}
    return {row[1]: list(row[2:]) for row in table.rows}


def test_rows_sample_one_model_in_the_studys_order(field_run, tmp_path):
    assert ways(field_run(tmp_path, "sampling")) == ["guided", "medienet", "unguided"]
    assert ways(field_run(tmp_path, "sampling", sampling="guided")) == ["guided", "medienet", "unguided"]
    assert ways(field_run(tmp_path, "field")) == []


def test_settings_stand_beside_fid_and_its_ratio_to_the_floor(field_run, tmp_path):
    results = field_run(tmp_path, "sampling")
    assert rows(results, "fid") == {
        "guided": ["ddim", "4", "5", "10", "5.00 ± 1.00", "50.0 ± 10.0†"],
        "medienet": ["ddim", "2", "5", "10", "6.00 ± 1.00", "60.0 ± 10.0†"],
        "unguided": ["ddim", "1", "20", "20", "7.00 ± 1.00", "70.0 ± 10.0†"],
    }
    assert rows(results, "fid_over_floor")["guided"][4:] == ["10.0 ± 2.0", "10.0 ± 2.0†"]


def test_a_gap_is_a_gap(field_run, tmp_path):
    results = field_run(tmp_path, "sampling", seeds=(0, 1))
    for seed in (0, 1):
        (tmp_path / f"fidelity/ct/guided/seed{seed}.json").unlink()
    (tmp_path / "fidelity/ct/unguided/seed0.json").unlink()
    found = rows(results, "fid")
    assert found["guided"] == ["ddim", "4", "5", "10", "missing", "missing"]
    assert found["unguided (1 of 2 runs)"][4:] == ["7.00", "70.0†"]
    write_sampling_tables(results, tmp_path / "out")
    long = list(csv.DictReader(io.StringIO((tmp_path / "out/sampling.csv").read_text("utf-8"))))
    gaps = [(row["augmenter"], row["generator_seed"]) for row in long if row["note"] == "missing"]
    assert gaps == [("guided", "0"), ("guided", "1"), ("unguided", "0")]


def test_nothing_at_all_is_a_table_of_gaps(field_run, tmp_path):
    results = field_run(tmp_path, "sampling", seeds=(0,))
    for path in tmp_path.glob("fidelity/ct/*/seed0.json"):
        path.unlink()
    assert rows(results, "fid")["medienet"] == ["ddim", "2", "5", "10", "missing"]
    write_tables(results, tmp_path / "tables")
    assert "missing" in (tmp_path / "tables/sampling.tex").read_text("utf-8")


def test_csv_holds_every_seed_with_settings_and_conditions(field_run, tmp_path):
    write_sampling_tables(field_run(tmp_path, "sampling"), tmp_path / "out")
    markdown, long = ((tmp_path / f"out/sampling.{ending}").read_text("utf-8") for ending in ("md", "csv"))
    found = list(csv.DictReader(io.StringIO(long)))
    assert len(found) == 3 * 3 * 2 * 2  # ways, seeds, dimensions, metrics
    row = next(row for row in found if (row["augmenter"], row["generator_seed"]) == ("unguided", "1"))
    assert [row[key] for key in ("model", "evaluations", "reference", "value")] == ["medienet", "20", "test", "7"]
    assert row["condition.extractor"] == "inception-v3-compat"
    assert "Every row samples the same trained models of medienet, from the same noise." in markdown
    assert "No difference between rows is claimed." in markdown
    assert "- guided: the model of medienet, sampled with guidance scale 4.0." in markdown
    assert "norope" not in markdown


def test_only_a_sampling_study_has_the_table(field_run, tmp_path):
    for study in ("field", "sampling"):
        results = field_run(tmp_path / study, study, seeds=(0,))
        write_tables(results, results.folder / "tables")
        assert (results.folder / "tables/sampling.csv").exists() == (study == "sampling")
