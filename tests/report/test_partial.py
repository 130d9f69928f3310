"""`--partial`: the three verbs write pages of a run folder in which something was made with another config."""

import numpy as np
import pytest
from typer.testing import CliRunner

from medbench import cli
from medbench.config import page_sections
from medbench.config.study import Config
from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS, Card, Dataset, Split, card_path
from medbench.report.results import StudyResults
from medbench.report.tables.write import write_tables
from medbench.run.files import write_text
from medbench.run.formats import read_model
from tests.helpers.records import record, save, write_sums

ARMS = ["real", "real+oversample@1"]
RAW = {
    "name": "demo",
    "datasets": {"chest": {"kind": "npz", "path": "chest.npz"}},
    "augmenters": {},
    "fidelity": {"weights": "random", "n_generated": 4},
    "studies": {"s": {"datasets": ["chest"], "arms": ARMS}},
    "run": ["s"],
}
CONFIG = Config.model_validate(RAW)
OTHER = Config.model_validate(RAW | {"utility": {"steps": 999}})
NOT_MADE_AGAIN = "utility of chest, real+oversample@1: it was made with another config and not made again"


def fill(folder, classifier_run) -> None:
    """The real arm made with this config, the control with another."""
    classifier_run(folder, {"chest": ["normal", "ill"]}, ARMS, budgets=("steps",))
    path = folder / "datasets/chest.npz"
    images = Split(np.zeros((4, 12, 12), np.uint8), np.arange(4) % 2, np.arange(4))
    save(Dataset(dict.fromkeys(SPLITS, images), read_model(card_path(path), Card)), path)
    made = page_sections.report_section(CONFIG, "s").expected
    stale = "utility/chest/steps/real+oversample@1/real.json"
    for path, wanted in (made | {stale: page_sections.report_section(OTHER, "s").expected[stale]}).items():
        record(folder / path, wanted)


def call(verb: str, run, output, *options: str):
    section = (
        page_sections.page_section(CONFIG, CONFIG) if verb == "report" else page_sections.report_section(CONFIG, "s")
    )
    return CliRunner().invoke(cli.app, [verb, str(run), str(output), "--config", section.canonical(), *options])


@pytest.mark.parametrize("verb", ["tables", "figures", "report"])
def test_verbs_refuse_another_config_unless_they_may_leave_it_out(classifier_run, tmp_path, verb):
    fill(tmp_path / "run", classifier_run)
    refused = call(verb, tmp_path / "run", tmp_path / "out")
    assert isinstance(refused.exception, UserError)
    assert "utility (chest/steps/real+oversample@1/real) differs" in str(refused.exception)
    assert not (tmp_path / "out").exists()
    done = call(verb, tmp_path / "run", tmp_path / "out", "--partial")
    assert done.exit_code == 0, done.output
    shown = {"tables": "out/utility.md", "figures": "out/auroc_by_arm.svg", "report": "out"}[verb]
    text = (tmp_path / shown).read_text("utf-8")
    assert "missing" in text
    assert (NOT_MADE_AGAIN in text) == (verb != "figures")  # which only have room for the word


def test_a_partial_page_shows_the_figures_beside_it(classifier_run, tmp_path):
    fill(tmp_path / "run", classifier_run)
    for folder, name in (("run", "roc_whole"), ("run/partial", "roc_partial")):
        write_text(tmp_path / folder / f"figures/s/{name}.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>")
        write_sums(tmp_path / folder / "figures/s")
    assert call("report", tmp_path / "run", tmp_path / "run/partial/report.html", "--partial").exit_code == 0
    page = (tmp_path / "run/partial/report.html").read_text("utf-8")
    assert "ROC curves, partial" in page
    assert "ROC curves, whole" not in page
    assert "<code>partial/tables/s/utility.csv</code>" in page


def test_a_card_of_another_config_is_a_gap(classifier_run, tmp_path):
    fill(tmp_path / "run", classifier_run)
    record(tmp_path / "run/datasets/chest.npz", "another")
    results = StudyResults(tmp_path / "run", **dict(page_sections.report_section(CONFIG, "s")), partial=True)
    write_tables(results, tmp_path / "out")
    text = (tmp_path / "out/utility.md").read_text("utf-8")
    assert "Missing: dataset chest, and what follows from it: it was made with another config" in text
    assert call("report", tmp_path / "run", tmp_path / "page.html", "--partial").exit_code == 0
    assert "Missing: its card" in (tmp_path / "page.html").read_text("utf-8")
