"""The table of the augmenters: what each is, its size, and how well first stages reconstruct."""

import csv
import io
import re

from medbench.report.results import StudyResults
from medbench.report.tables.augmenters_table import augmenter_tables, write_augmenter_tables
from tests.helpers.files import remove


def numbers(results: StudyResults, key: str) -> dict[str, list[str]]:
    """augmenter -> the cells behind it, of one table."""
    (table,) = [table for table in augmenter_tables(results) if table.key == f"augmenters-{key}"]
    assert {len(row) for row in table.rows} == {len(table.columns)}
    return {row[1]: list(row[2:]) for row in table.rows}


def written(results: StudyResults) -> tuple[str, str, list[dict[str, str]]]:
    write_augmenter_tables(results, results.folder / "out")
    markdown, latex, long = (
        (results.folder / f"out/augmenters.{end}").read_text("utf-8") for end in ("md", "tex", "csv")
    )
    return markdown, latex, list(csv.DictReader(io.StringIO(long)))


def test_what_each_kind_is(field_run, tmp_path):
    assert numbers(field_run(tmp_path, "field"), "what") == {
        "medienet (L2)": ["medienet", "latents of ae", "L2", "ddim", "2", "10"],
        "guided (L2)": ["medienet", "latents of ae", "L2", "ddim", "4", "10"],
        "pixels (Huber)": ["annotated_ddpm", "pixels", "Huber", "ancestral", "–", "40"],
        "cvae": ["cvae", "pixels", "–", "–", "–", "1"],
        "classic": ["classic", "–", "–", "–", "–", "0"],
        "copy": ["copy", "–", "–", "–", "–", "0"],
        "ready": ["images", "–", "–", "–", "–", "0"],
        "ae (ceiling)": ["autoencoder", "pixels", "–", "–", "–", "–"],
    }


def test_sizes_count_the_first_stage(field_run, tmp_path):
    rows = numbers(field_run(tmp_path, "field"), "size")
    assert rows["medienet (L2)"] == rows["guided (L2)"] == ["2,000", "500", "240", "160", "400"]
    assert rows["pixels (Huber)"] == ["900", "0", "4,000", "0", "4,000"]
    assert rows["copy"] == ["0"] * 5


def test_first_stages_have_mean_and_spread_over_seeds(field_run, tmp_path):
    assert numbers(field_run(tmp_path, "field"), "first-stages") == {"ae": ["21.0 ± 1.0", "0.750 ± 0.000"]}
    without = augmenter_tables(field_run(tmp_path / "other", "field", augmenters=["cvae", "copy"]))
    assert [table.key for table in without] == ["augmenters-what", "augmenters-size"]


def test_a_gap_is_a_gap(field_run, tmp_path):
    results = field_run(tmp_path, "field")
    for name in ("cvae/seed0", "cvae/seed1", "cvae/seed2", "ae/seed0", "pixels/seed1"):
        remove(tmp_path / f"models/ct/{name}")
    size = numbers(results, "size")
    assert size["cvae"] == ["missing"] * 5
    assert size["pixels (Huber) (2 of 3 runs)"] == ["900", "0", "4,000", "0", "4,000"]
    assert numbers(results, "what")["cvae"] == ["cvae", "pixels", "–", "–", "–", "1"]  # as the config says
    assert numbers(results, "first-stages") == {"ae (2 of 3 runs)": ["21.5 ± 0.7", "0.750 ± 0.000"]}
    gaps = [(row["augmenter"], row["generator_seed"]) for row in written(results)[2] if row["note"] == "missing"]
    assert gaps == [("pixels", "1"), ("cvae", "0"), ("cvae", "1"), ("cvae", "2"), ("ae", "0")]


def test_without_its_first_stage_a_total_is_missing(field_run, tmp_path):
    results = field_run(tmp_path, "field", augmenters=["medienet"], seeds=(0,))
    remove(tmp_path / "models/ct/ae/seed0")
    assert numbers(results, "size")["medienet (L2)"] == ["2,000", "missing", "240", "missing", "missing"]
    assert numbers(results, "first-stages") == {"ae": ["missing", "missing"]}


def test_csv_holds_every_model_with_its_conditions(field_run, tmp_path):
    rows = written(field_run(tmp_path, "field"))[2]
    assert len(rows) == 8 * 3
    (row,) = [row for row in rows if (row["augmenter"], row["generator_seed"]) == ("guided", "2")]
    wanted = {"model": "medienet", "guidance_scale": "4", "evaluations": "10", "images_seen_total": "400"}
    assert {key: row[key].removesuffix(".0") for key in wanted} == wanted
    assert (row["condition.device"], row["condition.versions.torch"]) == ("cpu", "2.11.0")


def test_notes_say_what_is_counted_and_what_was_trained_once(field_run, tmp_path):
    markdown = written(field_run(tmp_path, "ablation", augmenters=["medienet", "guided", "norope"]))[0]
    for sentence in (
        "guidance other than 0 and 1 twice that",
        "discriminators are not counted",
        "guided samples the model of medienet with settings of its own: nothing else was trained for it.",
        "ae was trained once for all that use it, and counts in full for each.",
        "PSNR of the mean squared error over all of them",
    ):
        assert sentence in markdown
    assert "trained once for all" not in written(field_run(tmp_path / "other", "field"))[0]  # one model uses it
    assert "PSNR" not in written(field_run(tmp_path / "third", "field", augmenters=["cvae"]))[0]


def test_latex_is_escaped_and_bytes_are_the_same_again(field_run, tmp_path):
    first, again = (written(field_run(tmp_path, "field")) for _ in range(2))
    assert first == again
    body = "\n".join(line for line in first[1].splitlines() if r"\label" not in line and not line.startswith("%"))
    assert re.search(r"(?<!\\)_", body) is None
    assert body.isascii()
