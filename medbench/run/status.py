"""`medbench status`: what of a run is done, running, failed, and how long the rest will take."""

import shlex
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medbench.run.jobs import STAGES, jobs_of, read_plan
from medbench.run.logs import spelled_seconds
from medbench.run.states import JobStatus, State, job_states


@dataclass(frozen=True)
class StageEstimate:
    stage: str
    jobs: int
    counts: dict[State, int]
    median: float | None  # seconds of a finished job; None: none finished
    left: float | None  # seconds of all that are left, one after another; None: not known

    @property
    def jobs_left(self) -> int:
        return self.jobs - self.counts[State.DONE]


def estimates(statuses: Sequence[JobStatus]) -> list[StageEstimate]:
    """One a stage that the run has, in the order of the pipeline."""
    of_stage = {stage: [status for status in statuses if status.job.stage == stage] for stage in STAGES}
    return [_estimate(stage, own) for stage, own in of_stage.items() if own]


def _estimate(stage: str, statuses: list[JobStatus]) -> StageEstimate:
    counts = {state: sum(status.state is state for status in statuses) for state in State}
    left = [status for status in statuses if status.state is not State.DONE]
    seconds: dict[tuple[str, ...], list[float]] = {}
    for status in statuses:
        if status.seconds is not None:
            seconds.setdefault(status.job.alike, []).append(status.seconds)
    median = statistics.median([value for values in seconds.values() for value in values]) if seconds else None
    # An augmenter or arm of which a job finished is judged by its own; any other by the whole stage.
    medians = {alike: statistics.median(values) for alike, values in seconds.items()}
    known = 0.0 if not left else None if median is None else sum(medians.get(s.job.alike, median) for s in left)
    return StageEstimate(stage, len(statuses), counts, median, known)


LISTED = 20  # jobs of one state; a disk that fills up fails them all


@dataclass(frozen=True)
class RunStatus:
    run: Path
    studies: list[str]
    jobs: list[JobStatus]

    def of(self, state: State) -> list[JobStatus]:
        return [status for status in self.jobs if status.state is state]


def status(run: Path, now: float) -> RunStatus:
    """Where every job of a run stands, by the plan and the files in its own folder.

    Args:
        run: results/<name>.
        now: seconds since the epoch, by which a job is at work or silent.

    Raises:
        UserError: no such folder, or no plan in it yet.
    """
    plan = read_plan(run)
    return RunStatus(run, list(plan.studies), job_states(run, jobs_of(plan), now))


def status_text(found: RunStatus) -> str:
    """A table with a line a stage, the time left, then every job that runs, stopped or failed."""
    stages = estimates(found.jobs)
    lines = [f"{found.run}: {', '.join(found.studies)}", *_table(stages), _time_left(stages, found)]
    for state in (State.RUNNING, State.STOPPED, State.FAILED):
        lines += _listed(found, state)
    return "\n".join([*lines, *_unreadable(found)])


def _table(stages: Sequence[StageEstimate]) -> list[str]:
    rows = [["stage", "jobs", *State, "a job takes", "time left"], *map(_row, stages)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]


def _row(stage: StageEstimate) -> list[str]:
    counts = [str(n) if n else "-" for n in stage.counts.values()]
    takes = spelled_seconds(stage.median) if stage.median is not None else "-"
    left = "not known" if stage.left is None else spelled_seconds(stage.left) if stage.jobs_left else "-"
    return [stage.stage, str(stage.jobs), *counts, takes, left]


def _time_left(stages: Sequence[StageEstimate], found: RunStatus) -> str:
    left, running = [stage for stage in stages if stage.jobs_left], len(found.of(State.RUNNING))
    known = [stage.left for stage in left if stage.left is not None]
    unknown = [f"{stage.stage} ({stage.jobs_left})" for stage in left if stage.left is None]
    if not left:
        return "Everything is done."
    parts = [f"{spelled_seconds(sum(known))} of jobs one after another, as long as finished ones took"] if known else []
    parts += (
        [f"{spelled_seconds(sum(known) / running)} with {running} at a time as now"] if running > 1 and known else []
    )
    parts += [f"not known for jobs of which none has finished: {', '.join(unknown)}"] if unknown else []
    return f"Time left: {'; '.join(parts)}"


def _listed(found: RunStatus, state: State) -> Iterator[str]:
    own = found.of(state)
    if own:
        yield f"{state}:"
    for status in own[:LISTED]:
        yield f"  {status.job.name}: {_said(status)}"
        if state is not State.RUNNING:
            yield f"    {found.run / status.job.log}"
    if len(own) > LISTED:
        yield f"  and {len(own) - LISTED} more"


def _said(status: JobStatus) -> str:
    line = (status.log.line if status.log else "") or "(nothing yet)"
    if status.state is not State.STOPPED or status.silent is None:
        return line
    return f"{line} (silent for {spelled_seconds(status.silent)})"


def _unreadable(found: RunStatus) -> Iterator[str]:
    problems = [status.problem for status in found.jobs if status.problem]
    if problems:
        yield f"damaged (medbench verify {shlex.quote(str(found.run))} says more):"
    yield from (f"  {problem}" for problem in problems[:LISTED])
