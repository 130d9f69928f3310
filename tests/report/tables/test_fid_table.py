"""The FID table: its numbers by hand, and the sentences without which it would mislead."""

import csv
import io
import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from medbench.core.errors import UserError
from medbench.report.results import StudyResults
from medbench.report.tables.fid_notes import RANDOM_WEIGHTS
from medbench.report.tables.markup import tex
from medbench.report.tables.write import write_tables
from medbench.run.files import write_text
from tests.helpers.builders import card_of, write_fidelity, write_trained
from tests.helpers.records import write_json

# value against train by (augmenter, seed); against R it is 1 higher, against test 2 higher
VALUES = {
    ("ann_l2", 0): 1.0,
    ("ann_l2", 1): 2.0,
    ("ann_l2", 2): 3.0,
    ("ann_huber", 0): 3.0,
    ("ann_huber", 1): 5.0,
    ("ann_huber", 2): 7.0,
}
FLOOR = 0.5


def fake_run(folder: Path, seeds=(0, 1, 2), papers=(), random_weights=False, dimensions=(64, 768)) -> StudyResults:
    """One dataset, two augmenters; at dimension 768 every value is ten times the one at 64."""
    for augmenter, seed in itertools.product(("ann_l2", "ann_huber"), seeds):
        values = {}
        for dimension in dimensions:
            value, scale = VALUES[augmenter, seed], 1 if dimension == 64 else 10
            values |= {("fid", "train", dimension): value * scale, ("fid", "test", dimension): (value + 2) * scale}
            values |= {("fid", "train_part", dimension): (value + 1) * scale}
            values |= {("fid_floor", "train_part", dimension): FLOOR * scale}
            values |= {("fid_over_floor", "train_part", dimension): (value + 1) / FLOOR}
        conditions = {"random_weights": random_weights, "versions": {"torch": "2.11.0"}, "torch_threads": 2}
        n_real = {"train": 900, "test": 800, "train_part": 600}
        loss = augmenter.removeprefix("ann_")
        write_fidelity(folder, f"chest_ct/{augmenter}/seed{seed}", values, loss, n_real, **conditions)
        described = {
            "augmenter": {
                "kind": "annotated_ddpm",
                "loss": augmenter.removeprefix("ann_"),
                "steps": 2800,
                "log_every": 9,
                "width": None,
            },
            "runtime": {"precision": "fp32", "device": "cpu"},
        }
        write_trained(folder / f"models/chest_ct/{augmenter}/seed{seed}", described)
    card = card_of("chest_ct", ["normal", "cancer"], title="Chest CT", image_size=(28, 28))
    write_json(folder / "datasets/chest_ct.json", card.model_dump())
    return StudyResults(folder, "cao2025", ("chest_ct",), ("ann_l2", "ann_huber"), tuple(seeds), papers)


def tables(results: StudyResults) -> tuple[str, str, list[dict[str, str]]]:
    folder = results.folder / "tables"
    write_tables(results, folder)
    markdown, latex, long = ((folder / name).read_text("utf-8") for name in ("fid.md", "fid.tex", "fid.csv"))
    return markdown, latex, list(csv.DictReader(io.StringIO(long)))


def markdown_rows(text: str) -> dict[str, list[list[str]]]:
    """label of the row -> the numbers of each row of that label, in the order of the tables"""
    rows: dict[str, list[list[str]]] = {}
    for line in text.splitlines():
        if line.startswith("|"):
            _, label, *numbers = (cell.strip() for cell in line.strip("|").split("|"))
            rows.setdefault(label, []).append(numbers)
    return rows


def test_cells_are_mean_and_standard_deviation_over_seeds(tmp_path):
    rows = markdown_rows(tables(fake_run(tmp_path))[0])
    # 1, 2, 3: mean 2, sd 1. 3, 5, 7: mean 5, sd 2. Only 768 exceeds the 300 generated images.
    assert rows["ann_l2 (L2)"] == [["2.00 ± 1.00", "20.0 ± 10.0†"], ["4.00 ± 1.00", "40.0 ± 10.0†"]]
    assert rows["ann_huber (Huber)"] == [["5.00 ± 2.00", "50.0 ± 20.0†"], ["7.00 ± 2.00", "70.0 ± 20.0†"]]


def test_floor_and_ratio(tmp_path):
    rows = markdown_rows(tables(fake_run(tmp_path))[0])
    assert rows["real against real, n = 300"] == [["0.500", "5.00†"]]
    assert rows["ann_l2 (L2) ÷ floor"] == [["6.00 ± 2.00", "6.00 ± 2.00†"]]  # (2, 3, 4) / 0.5


def test_difference_is_paired_by_seed(tmp_path):
    rows = markdown_rows(tables(fake_run(tmp_path))[0])
    # 2, 3, 4: mean 3, sd 1; half the 95 % interval is 4.303 / sqrt(3) = 2.48, so 0 lies outside.
    assert rows["ann_huber − ann_l2"] == [["+3.0 ± 2.5‡", "+30 ± 25‡"]]


def test_few_seeds_claim_nothing(tmp_path):
    markdown, latex, _ = tables(fake_run(tmp_path, seeds=(0, 1)))
    for text in (markdown, latex):
        assert "no difference between losses" in text
        assert "Difference in FID" not in text
    assert markdown_rows(tables(fake_run(tmp_path, seeds=(0,)))[0])["ann_l2 (L2)"][0] == ["1.00", "10.0†"]


def test_published_values_stand_in_their_own_cells_only(tmp_path):
    markdown, _, rows = tables(fake_run(tmp_path, papers=["cao2025"]))
    shown = markdown_rows(markdown)
    assert shown["images"][0] == ["64", "768", "2048"]  # a column for what only the paper has
    assert shown["L2, published (Cao et al. 2025)"] == [["0.85", "–", "–"]]
    assert shown["Huber, published (Cao et al. 2025)"] == [["–", "–", "15.2"]]
    assert shown["ann_l2 (L2)"][0][2] == "–"
    published = [(row["loss"], row["dimension"], row["value"]) for row in rows if row["source"] != "this run"]
    assert published == [("l2", "64", "0.85"), ("huber", "2048", "15.2")]
    assert "published" not in tables(fake_run(tmp_path))[0].lower()
    both = tables(fake_run(tmp_path, papers=["medienet2025", "cao2025"]))
    assert both == tables(fake_run(tmp_path, papers=["cao2025"]))  # the other one states no FID


def test_csv_holds_every_seed_with_its_conditions(tmp_path):
    rows = tables(fake_run(tmp_path))[2]
    assert len(rows) == 2 * 3 * 2 * 5  # augmenters, seeds, dimensions, values
    row = next(row for row in rows if row["augmenter"] == "ann_huber" and row["generator_seed"] == "2")
    assert (row["value"], row["n_real"], row["n_generated"]) == ("7.0", "900", "300")
    assert (row["condition.versions.torch"], row["condition.torch_threads"]) == ("2.11.0", "2")
    assert all(("Fewer images" in row["warning"]) == (row["dimension"] == "768") for row in rows)


def test_random_weights_are_announced_in_every_form(tmp_path):
    markdown, latex, rows = tables(fake_run(tmp_path, random_weights=True))
    assert f"**{RANDOM_WEIGHTS}**" in markdown
    assert latex.count(RANDOM_WEIGHTS) == latex.count(r"\caption") + 1
    assert all(row["warning"].startswith(RANDOM_WEIGHTS) for row in rows)
    assert RANDOM_WEIGHTS not in "".join(str(part) for part in tables(fake_run(tmp_path)))


def test_mixed_conditions_are_said(tmp_path):
    results = fake_run(tmp_path, random_weights=True)
    fake_run(tmp_path, seeds=(0, 1))
    assert "not all values were made under the same conditions: they differ in random weights" in (
        tables(results)[0].lower()
    )


def test_latex_is_escaped_and_balanced(tmp_path):
    latex = tables(fake_run(tmp_path, papers=["cao2025"]))[1]
    body = "\n".join(line for line in latex.splitlines() if r"\label" not in line and not line.startswith("%"))
    assert r"ann\_huber (Huber) & 5.00 $\pm$ 2.00 & 50.0 $\pm$ 20.0$^\dagger$ & -- \\" in latex
    assert "_" not in body.replace(r"\_", "")
    assert body.isascii()
    for name in ("table", "tabular", "itemize"):
        assert latex.count(rf"\begin{{{name}}}") == latex.count(rf"\end{{{name}}}") > 0
    assert tex("50 % & a_b\\") == r"50 \% \& a\_b\textbackslash{}"
    assert tex("[0, 1] → ×2 | ≤") == r"{[}0, 1{]} $\rightarrow$ $\times$2 \textbar{} $\leq$"


def test_a_missing_seed_is_a_gap_beside_the_others(tmp_path):
    results = fake_run(tmp_path)
    (tmp_path / "fidelity/chest_ct/ann_huber/seed1.json").unlink()
    for name in ("train", "test", "ann_huber/seed1"):
        write_text(tmp_path / f"features/chest_ct/{name}.safetensors", "")
    results = replace(results, expected={"fidelity/chest_ct/ann_huber/seed1.json": "a hash"})
    markdown, _, long = tables(results)
    rows = markdown_rows(markdown)
    assert rows["ann_huber (Huber) (2 of 3 runs)"][0] == ["5.00 ± 2.83", "50.0 ± 28.3†"]  # 3 and 7
    assert rows["ann_l2 (L2)"][0] == ["2.00 ± 1.00", "20.0 ± 10.0†"]
    # Two pairs are too few to claim a difference from.
    assert rows["ann_huber − ann_l2 (2 of 3 runs)"] == [["missing", "missing"]]
    assert "- Missing: fidelity of chest_ct, ann_huber, seed1" in markdown
    (gap,) = [row for row in long if row["note"] == "missing"]
    assert [gap[name] for name in ("augmenter", "generator_seed", "value")] == ["ann_huber", "1", ""]


def test_a_missing_augmenter_is_a_row_of_gaps(tmp_path):
    results = fake_run(tmp_path)
    for seed in results.seeds:
        (tmp_path / f"fidelity/chest_ct/ann_huber/seed{seed}.json").unlink()
    rows = markdown_rows(tables(results)[0])
    assert rows["ann_huber (Huber)"] == [["missing", "missing"]] * 2
    assert rows["ann_huber (Huber) ÷ floor"] == rows["ann_huber − ann_l2"] == [["missing", "missing"]]
    assert rows["real against real, n = 300"] == [["0.500", "5.00†"]]


def test_a_study_without_any_result_has_tables_of_gaps(tmp_path):
    results = StudyResults(tmp_path, "cao2025", ("chest_ct",), ("ann_l2", "ann_huber"), (0, 1, 2), ["cao2025"])
    markdown, latex, long = tables(results)
    rows = markdown_rows(markdown)
    assert rows["ann_l2"] == [["missing", "missing"], ["missing"]]  # at the paper's dimensions, then at none
    assert rows["L2, published (Cao et al. 2025)"] == [["0.85", "–"]]
    assert rows["real against real"] == [["missing"]]
    assert "missing" in latex
    assert sum(row["note"] == "missing" for row in long) == 2 * 3


def test_the_folder_is_replaced_whole_or_not_at_all(tmp_path):
    results = fake_run(tmp_path)
    write_text(tmp_path / "tables/old.md", "of an earlier config")
    (tmp_path / "fidelity/chest_ct/ann_l2/seed0.json").write_text("{")
    with pytest.raises(UserError, match=r"ann_l2/seed0\.json: is damaged \(its content is not what its record says\)"):
        write_tables(results, tmp_path / "tables")
    assert [path.name for path in (tmp_path / "tables").iterdir()] == ["old.md"]
    tables(fake_run(tmp_path))
    names = [f"{table}.{ending}" for table in ("augmenters", "fid") for ending in ("csv", "md", "tex")]
    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == ["SHA256SUMS", *names]


def test_same_bytes_again(tmp_path):
    assert tables(fake_run(tmp_path, papers=["cao2025"])) == tables(fake_run(tmp_path, papers=["cao2025"]))


def test_settings_stand_under_the_table_the_shared_ones_once(tmp_path):
    md, tex_text, _ = tables(fake_run(tmp_path))
    assert "All augmenters: device cpu, kind annotated_ddpm, precision fp32, steps 2800." in md
    assert "- ann_l2: loss l2." in md
    assert "- ann_huber: loss huber." in md
    assert "log every" not in md  # no number depends on it
    assert "chest_ct: Chest CT, 28×28×1, 300 generated images a set" in md
    assert "steps 2800" in tex_text


# Many kinds -------------------------------------------------------------------------------------------------------

CEILING = "ae (first stage: reconstructions, the ceiling)"


def test_ceilings_stand_last_and_nothing_is_claimed_of_them(field_run, tmp_path):
    markdown = tables(field_run(tmp_path, "field", augmenters=["ae", "medienet", "guided"]))[0]
    rows = markdown_rows(markdown)
    assert rows[CEILING][0] == ["2.50 ± 1.00", "29.5 ± 10.0†"]
    against_train = markdown.split("## ")[1]
    assert [line.split(" | ")[1] for line in against_train.splitlines() if line.startswith("| ct")][-1] == CEILING
    assert {label for label in rows if "−" in label} == {"guided − medienet"}
    assert "- ae: real training images, encoded and decoded by the first stage of medienet and guided." in markdown


def test_a_study_of_a_first_stage_alone_compares_nothing(field_run, tmp_path):
    markdown = tables(field_run(tmp_path, "field", augmenters=["ae"]))[0]
    assert "Difference in FID" not in markdown
    assert "- ae: real training images, encoded and decoded. They are the ceiling" in markdown


def test_copies_are_named_as_the_control(field_run, tmp_path):
    markdown = tables(field_run(tmp_path, "field"))[0]
    assert "- copy: real training images as if generated, the control that FID alone would crown." in markdown
    assert "crown" not in tables(field_run(tmp_path / "other", "sampling"))[0]


def test_entries_that_differ_in_sampling_alone_are_told_apart(field_run, tmp_path):
    markdown = tables(field_run(tmp_path, "sampling"))[0]
    rows = markdown_rows(markdown)
    assert rows["guided (L2)"][0] != rows["medienet (L2)"][0]
    assert "- guided: the model of medienet, sampled with guidance scale 4.0." in markdown
    assert "- unguided: the model of medienet, sampled with guidance scale 1.0, sample steps 20." in markdown
    assert markdown.count("- medienet: ") == 1


def test_what_lies_on_the_users_disk_is_not_shown(field_run, tmp_path):
    written = tables(field_run(tmp_path, "field"))
    assert "/home/ada" not in str(written)
    assert f"- ready: given sha256 {'f' * 64}, kind images." in written[0]
