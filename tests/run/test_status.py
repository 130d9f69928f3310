"""Where each job of a run stands, by its files and logs, and how long the rest takes."""

import json
import shutil
from dataclasses import replace

import pytest

from medbench.config.page_sections import page_section
from medbench.config.study import Config
from medbench.core.errors import UserError
from medbench.run.files import write_text
from medbench.run.formats import read_json
from medbench.run.job_logs import End, parse_log
from medbench.run.layout import job_of, log_of
from medbench.run.logs import Usage
from medbench.run.planned import read_plan
from medbench.run.status import JobStatus, State, estimates, status, status_text
from medbench.system.folder_lock import held
from tests.helpers.records import record, write_json
from tests.helpers.run_folder import CONFIG, NOW, age

PROGRESS = "train ct medienet seed 0 unet: 35/170 steps, 2.28 steps/s, 59 s left, loss 0.2368"
MODEL, SAMPLES, ARM = "models/ct/medienet/seed0", "samples/ct/medienet/seed0.npz", "utility/ct/steps/real/real"
TRAIN_LOG = "logs/train/ct-medienet-seed0.log"


def states(run) -> dict[str, State]:
    return {job_status.job.path: job_status.state for job_status in status(run, NOW).jobs}


def not_done(run) -> dict[str, State]:
    return {key: state for key, state in states(run).items() if state is not State.DONE}


def write_log(run, text: str, seconds_ago: float, log: str = TRAIN_LOG) -> None:
    write_text(run / log, text)
    age(run / log, seconds_ago)


def remove_products(run, *paths: str) -> None:
    for path in paths:
        shutil.rmtree(run / path) if (run / path).is_dir() else (run / path).unlink()


@pytest.fixture
def half_run(whole_run):
    """MedIENet is not trained, and nothing that comes after it exists."""
    names, folders = ("medienet", "guided"), ("samples", "features", "fidelity")
    samples = [f"{folder}/ct/{name}" for folder in folders for name in names]
    remove_products(whole_run, MODEL, *samples, "tables", "figures", "report.html")
    for log in [log for name in names for log in (whole_run / "logs").glob(f"*/*-{name}-*.log")]:
        log.unlink()
    return whole_run


def test_a_finished_run_is_done(whole_run):
    text = status_text(status(whole_run, NOW))
    assert not_done(whole_run) == {}
    assert text.splitlines()[0] == f"{whole_run}: field"
    assert text.endswith("Everything is done.")


def test_every_kind_of_job_is_planned_with_the_log_that_its_rule_writes(whole_run):
    plan = read_plan(whole_run)
    stages = [job_of(path).product.stage for path in plan.needs]
    assert {stage: stages.count(stage) for stage in dict.fromkeys(stages)} == {
        "prepare": 1,
        "audit": 1,
        "audit_page": 1,
        "train": 3,  # guided samples MedIENet's model
        "sample": 4,
        "features": 6,
        "fidelity": 4,
        "neighbours": 1,
        "neighbours_page": 1,
        "utility": 2,
        "tables": 1,
        "figures": 1,
        "report": 1,
    }
    assert log_of("datasets/ct.raw.npz") == "logs/prepare/ct.log"
    assert log_of("report.html") == "logs/report.log"
    assert job_of(f"{ARM}.json").checkpoints == "checkpoints/utility/ct-steps-real-real"
    needed = {name for names in plan.needs.values() for name in names}
    assert needed < set(plan.needs)


def test_what_was_not_begun_waits(half_run):
    assert set(not_done(half_run).values()) == {State.WAITING}
    assert MODEL in not_done(half_run)


ERRORS = (
    "medbench: train ct medienet: the loss is not finite at step 9: lower learning_rate",
    "Traceback (most recent call last):\n  File 'x.py', line 1\nRuntimeError: CUDA out of memory",
)
NOTICES = (
    "medbench: x.pt: damaged checkpoint, going back to the one before",
    "medbench: waiting for a GPU: 2 are taken",
    "medbench: https://example.org/x.npz: HTTP 503 Service Unavailable; trying again in 7 s",
    "medbench: https://example.org/x.npz: HTTP 404 Not Found; trying the next address",
    "medbench: resources/set/x.zip: another job is fetching it; waiting",
)


@pytest.mark.parametrize(
    ("text", "seconds_ago", "state", "shown"),
    [
        ("", 119, State.RUNNING, "(nothing yet)"),
        (PROGRESS, 119, State.RUNNING, PROGRESS),
        (f"{PROGRESS}\ntorch.py: UserWarning: slow\n", 119, State.RUNNING, "torch.py: UserWarning: slow"),
        *((f"{PROGRESS}\n{notice}\n", 10, State.RUNNING, notice) for notice in NOTICES),
        (PROGRESS, 121, State.STOPPED, f"{PROGRESS} (silent for 2 min 1 s)"),
        (PROGRESS, 3600, State.STOPPED, f"{PROGRESS} (silent for 1 h 0 min)"),
        *(
            (f"{PROGRESS}\n{error}\n", ago, State.FAILED, error.splitlines()[-1])
            for error in ERRORS
            for ago in (1, 9999)
        ),
    ],
)
def test_a_job_is_judged_by_the_end_and_the_age_of_its_log(half_run, text, seconds_ago, state, shown):
    write_log(half_run, text, seconds_ago)
    assert states(half_run)[MODEL] is state
    log = "" if state is State.RUNNING else f"\n    {half_run / TRAIN_LOG}"
    assert status_text(status(half_run, NOW)).endswith(f"\n{state}:\n  train ct medienet seed0: {shown}{log}")


def test_a_job_that_holds_its_checkpoints_is_running_whatever_a_second_one_wrote_into_its_log(half_run):
    write_log(half_run, "medbench: checkpoints: process 7 on lab is working in this folder; wait until it ends\n", 500)
    assert states(half_run)[MODEL] is State.FAILED
    with held(half_run / "checkpoints/train/ct-medienet-seed0"):
        assert states(half_run)[MODEL] is State.RUNNING


@pytest.mark.parametrize(
    ("text", "end"),
    [
        (f"{PROGRESS}\nmedbench: train ct: stopped after step 5; run again to go on", End.STOPPED),
        ("Traceback (most recent call last):\n  File 'x.py', line 1\nKeyboardInterrupt", End.STOPPED),
        (f"Traceback (most recent call last):\nImportError: no triton\n{PROGRESS}", End.OPEN),
        (f"medbench: no memory left\n{Usage(5.0, 100).line()}", End.FINISHED),
    ],
)
def test_how_a_log_ends(text, end):
    assert parse_log(text).end is end


def test_another_config_makes_a_file_and_what_follows_from_it_outdated(whole_run):
    record(whole_run / MODEL, made_with="older")
    age(whole_run, 3600)
    outdated = not_done(whole_run)
    assert set(outdated.values()) == {State.OUTDATED}
    endings = {"samples": "npz", "features": "safetensors", "fidelity": "json"}
    follow = [f"{folder}/ct/{name}/seed0.{end}" for name in ("medienet", "guided") for folder, end in endings.items()]
    assert set(outdated) == {MODEL, *follow, "tables/field", "figures/field", "report.html"}


def test_pages_of_another_number_are_outdated(whole_run):
    content = read_json(whole_run / f"{ARM}.json")
    write_json(whole_run / f"{ARM}.json", content | {"rows": []})
    assert set(not_done(whole_run)) == {"tables/field", "figures/field", "report.html"}


def test_what_nothing_needs_again_may_be_gone(whole_run):
    remove_products(whole_run, "datasets/ct.raw.npz", "features/ct/train.safetensors")
    assert not_done(whole_run) == {}
    remove_products(whole_run, "fidelity/ct/medienet/seed0.json")
    assert states(whole_run)["features/ct/train.safetensors"] is State.WAITING


def test_what_pages_are_made_of_is_made_again_where_it_is_gone(whole_run):
    remove_products(whole_run, SAMPLES)
    assert not_done(whole_run)[SAMPLES] is State.WAITING


def test_half_of_what_a_job_writes_is_not_done(whole_run):
    remove_products(whole_run, f"{ARM}.npz", "tables")
    assert not_done(whole_run)[f"{ARM}.json"] is State.OUTDATED
    remove_products(whole_run, f"{MODEL}.record.json")
    assert not_done(whole_run)[MODEL] is State.OUTDATED
    remove_products(whole_run, "audit/ct.record.json")  # of the findings, which the dataset's job writes too
    assert not_done(whole_run)["datasets/ct.npz"] is State.OUTDATED


def test_a_damaged_record_is_named(whole_run):
    damaged = whole_run / SAMPLES.replace(".npz", ".record.json")
    write_text(damaged, "cut")
    text = status_text(status(whole_run, NOW))
    assert f"damaged (medbench verify {whole_run} says more):\n  {damaged}: is damaged (its content is not" in text


def test_time_left_is_that_of_finished_jobs_alike(half_run):
    write_log(half_run, PROGRESS, 10)
    write_log(half_run, Usage(20.0, 100).line(), 3600, "logs/train/ct-classic-seed0.log")
    stages = {stage.stage: stage for stage in estimates(status(half_run, NOW).jobs)}
    assert (stages["train"].median, stages["train"].seconds_left) == (60.0, 60.0)  # of 100 s and 20 s
    assert (stages["sample"].jobs_left, stages["sample"].seconds_left) == (2, 4.0)
    assert (stages["utility"].jobs_left, stages["utility"].seconds_left) == (0, 0.0)
    write_log(half_run, Usage(1000.0, 100).line(), 3600, "logs/train/ct-medienet-seed0.log")  # its model was removed
    assert {stage.stage: stage.seconds_left for stage in estimates(status(half_run, NOW).jobs)}["train"] == 60.0


def test_an_augmenter_is_judged_by_its_own_jobs_where_one_finished(whole_run):
    for name, seconds in {"classic": 5.0, "medienet": 900.0}.items():
        write_log(whole_run, Usage(seconds, 100).line(), 3600, f"logs/sample/ct-{name}-seed0.log")
    done = [job_status for job_status in status(whole_run, NOW).jobs if job_status.job.product.stage == "sample"]
    left = {one.job.parts[1]: replace(one, state=State.WAITING, seconds=None) for one in done}
    assert estimates([*done, left["medienet"], left["classic"]])[0].seconds_left == 905.0


def test_time_left_of_a_stage_that_never_finished_is_not_known(half_run):
    remove_products(half_run, "utility")
    write_log(half_run, PROGRESS, 10)
    write_log(half_run, "utility ct real steps seed 0: 1/9 steps", 10, "logs/utility/ct-steps-real-real.log")
    text = status_text(status(half_run, NOW))
    (line,) = [line for line in text.splitlines() if line.startswith("utility ")]
    assert line.split() == ["utility", "2", "-", "-", "1", "-", "-", "1", "-", "not", "known"]
    # 100 s of training, and 2 s each for three stages of two augmenters.
    assert (
        "Time left: 1 min 52 s of jobs one after another, as long as finished ones took; 56.0 s with 2 at a time as"
        " now; not known for jobs of which none has finished: utility (2), tables (1), figures (1), report (1)"
    ) in text


def test_studies_that_were_asked_for_earlier_do_not_count(whole_run):
    earlier = read_json(whole_run / "sections/field.json") | {"study": "earlier"}
    write_json(whole_run / "sections/earlier.json", earlier)
    age(whole_run / "sections/earlier.json", 7200)
    assert read_plan(whole_run).studies == ["field"]
    age(whole_run / "sections/earlier.json", 60)  # asked for alone, after the report
    assert read_plan(whole_run).studies == ["field", "earlier"]


def test_without_deep_features_there_are_no_neighbours(whole_run):
    assert "audit/ct.neighbours.json" in read_plan(whole_run).needs
    for fidelity in ({"weights": "random"}, {"dimensions": [64]}):
        config = Config.model_validate(CONFIG | {"fidelity": CONFIG["fidelity"] | fidelity})
        write_json(whole_run / "sections/report.json", json.loads(page_section(config, config).canonical()))
        assert "audit/ct.neighbours.json" not in read_plan(whole_run).needs


def test_a_run_without_a_plan_says_what_to_run(whole_run):
    shutil.rmtree(whole_run / "sections")
    with pytest.raises(UserError, match=r"demo: does not say yet what it consists of; .* sections/report\.json"):
        status(whole_run, NOW)
    with pytest.raises(UserError, match=r"demo/x: no such folder"):
        status(whole_run / "x", NOW)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: write_text(path, "{"), r"is damaged .*; remove it: rm -r "),
        (lambda path: write_json(path, {}), "is not what this version of medbench writes"),
    ],
)
def test_a_plan_that_cannot_be_read_is_named(whole_run, write, message):
    write(whole_run / "sections/report.json")
    with pytest.raises(UserError, match=rf"report\.json: {message}"):
        status(whole_run, NOW)


def test_a_long_list_is_cut(whole_run):
    run_status, log = status(whole_run, NOW), parse_log("medbench: disk full")
    failed = [JobStatus(job_status.job, State.FAILED, log) for job_status in run_status.jobs]
    assert "  and 7 more" in status_text(replace(run_status, jobs=failed))
