"""`medbench status`: what of a run is done, running, failed, and how long the rest will take."""

import os
import shlex
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from medbench.core.errors import UserError
from medbench.run import layout
from medbench.run.job_logs import End, Log, read_log, spelled_seconds
from medbench.run.layout import Job, job_of
from medbench.run.planned import Plan, read_plan
from medbench.run.records import Record, read_record
from medbench.system.folder_lock import is_held

FRESH = 120.0  # seconds: a job whose log was touched since then is at work, see medbench.run.logs
LISTED = 20  # jobs of one state; a disk that fills up fails them all


class State(StrEnum):
    DONE = "done"
    OUTDATED = "outdated"  # its files exist, but the config or what they were made from has changed
    RUNNING = "running"
    STOPPED = "stopped"  # neither at work nor at an end
    FAILED = "failed"
    WAITING = "waiting"


@dataclass(frozen=True)
class JobStatus:
    job: Job
    state: State
    log: Log | None
    silent: float | None = None  # seconds since it wrote anything; None: it wrote nothing
    seconds: float | None = None  # that it took, where it finished with the config as it is
    problem: str | None = None  # why its record could not be read


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
    states = _States(run, plan, now)
    return RunStatus(run, plan.studies, [states.status(path) for path in plan.needs])


class _States:
    def __init__(self, run: Path, plan: Plan, now: float):
        self.run, self.plan, self.now = run, plan, now
        self.problems: dict[str, str] = {}
        self.state, self.record, self.log = cache(self._state), cache(self._record), cache(self._log)

    def status(self, path: str) -> JobStatus:
        state, job = self.state(path), job_of(path)
        log, silent = self.log(job.log)
        seconds = log.usage.seconds if log and log.usage and self._is_complete(path) else None
        return JobStatus(job, state, log, silent, seconds, self.problems.get(path))

    def _log(self, path: str) -> tuple[Log | None, float | None]:
        """A log, and how many seconds ago it was written."""
        log = read_log(self.run / path)
        return log, None if log is None else max(0.0, self.now - (self.run / path).stat().st_mtime)

    def _record(self, path: str) -> Record | None:
        try:
            return read_record(self.run / path) if (self.run / path).exists() else None
        except UserError as error:
            self.problems[path] = str(error)
            return None

    def _state(self, path: str) -> State:
        planned = [needed for needed in self.plan.needs[path] if needed in self.plan.needs]
        ready = all(self.state(needed) is State.DONE for needed in planned)
        if self._is_complete(path):
            return State.DONE if ready and self._has_its_sources(path) else State.OUTDATED
        begun = self._begun(job_of(path))
        if begun:
            return begun
        if ready and self._is_dispensable(path):
            return State.DONE
        return State.OUTDATED if (self.run / path).exists() else State.WAITING

    def _begun(self, job: Job) -> State | None:
        log, silent = self.log(job.log)
        if is_held(self.run / job.checkpoints):
            return State.RUNNING  # though a second one that was refused may have the log
        if log is None or silent is None or log.end is End.FINISHED:
            return None
        if log.end is not End.OPEN:
            return State(log.end)
        return State.RUNNING if silent <= FRESH else State.STOPPED

    def _is_complete(self, path: str) -> bool:
        """Whether all that a job writes exists, made with the config as it is."""
        exist = all((self.run / output).exists() for output in job_of(path).outputs)
        record = self.record(path) if exist else None
        return record is not None and self.plan.made_with.get(path, record.made_with) == record.made_with

    def _has_its_sources(self, path: str) -> bool:
        """Whether what it was made from has the same hash still, where it is still there."""
        record, folder = self.record(path), (self.run / path).parent
        made_from = record.made_from if record else {}
        sources = {os.path.relpath(folder / name, self.run): sha256 for name, sha256 in made_from.items()}
        there = {source: other for source in sources if (other := self.record(source))}
        return all(sources[source] in other.sha256.values() for source, other in there.items())

    def _is_dispensable(self, path: str) -> bool:
        """Whether nothing needs its files again: Snakemake makes anew what pages are made of, and no other file."""
        readers = [reader for reader, needed in self.plan.needs.items() if path in needed]
        asked_for = path in self.plan.made_with or job_of(path).product in layout.PAGES
        return not asked_for and all(map(self._is_complete, readers))


# Said -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StageEstimate:
    stage: str
    counts: Mapping[State, int]
    median: float | None  # seconds of a finished job; None: none finished
    seconds_left: float | None  # of all jobs that are left, one after another; None: not known

    @property
    def jobs_left(self) -> int:
        return sum(self.counts.values()) - self.counts[State.DONE]


def estimates(statuses: Sequence[JobStatus]) -> list[StageEstimate]:
    """One per stage that the run has, in the order of the pipeline."""
    of_stage = {stage: [status for status in statuses if status.job.product.stage == stage] for stage in layout.STAGES}
    return [_estimate(stage, stage_statuses) for stage, stage_statuses in of_stage.items() if stage_statuses]


def _estimate(stage: str, statuses: list[JobStatus]) -> StageEstimate:
    counts = Counter(status.state for status in statuses)
    left = [status for status in statuses if status.state is not State.DONE]
    seconds: dict[tuple[str, ...], list[float]] = {}
    for status in statuses:
        if status.seconds is not None:
            seconds.setdefault(_workload(status), []).append(status.seconds)
    median = statistics.median([value for values in seconds.values() for value in values]) if seconds else None
    # An augmenter or arm of which a job finished is judged by its own; any other by the whole stage.
    medians = {workload: statistics.median(values) for workload, values in seconds.items()}
    known = 0.0 if not left else None if median is None else sum(medians.get(_workload(s), median) for s in left)
    return StageEstimate(stage, counts, median, known)


def _workload(status: JobStatus) -> tuple[str, ...]:
    """What jobs of one stage share that take about as long: the augmenter, the arm, the split."""
    parts = status.job.parts
    return tuple(parts[1:-1] if len(parts) > 2 else parts[1:])


def status_text(run_status: RunStatus) -> str:
    """A table with one line per stage, the time left, then every job that runs, stopped or failed."""
    stages = estimates(run_status.jobs)
    lines = [f"{run_status.run}: {', '.join(run_status.studies)}", *_table(stages), _time_left(stages, run_status)]
    for state in (State.RUNNING, State.STOPPED, State.FAILED):
        lines += _listed(run_status, state)
    problems = [status.problem for status in run_status.jobs if status.problem]
    if problems:
        lines.append(f"damaged (medbench verify {shlex.quote(str(run_status.run))} says more):")
    return "\n".join([*lines, *(f"  {problem}" for problem in problems[:LISTED])])


def _table(stages: Sequence[StageEstimate]) -> list[str]:
    rows = [["stage", "jobs", *State, "a job takes", "time left"], *map(_row, stages)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]


def _row(stage: StageEstimate) -> list[str]:
    counts = [str(stage.counts[state] or "-") for state in State]
    takes = spelled_seconds(stage.median) if stage.median is not None else "-"
    left = "not known" if stage.seconds_left is None else spelled_seconds(stage.seconds_left)
    return [stage.stage, str(sum(stage.counts.values())), *counts, takes, left if stage.jobs_left else "-"]


def _time_left(stages: Sequence[StageEstimate], run_status: RunStatus) -> str:
    left, running = [stage for stage in stages if stage.jobs_left], len(run_status.of(State.RUNNING))
    known = [stage.seconds_left for stage in left if stage.seconds_left is not None]
    unknown = [f"{stage.stage} ({stage.jobs_left})" for stage in left if stage.seconds_left is None]
    if not left:
        return "Everything is done."
    parts = [f"{spelled_seconds(sum(known))} of jobs one after another, as long as finished ones took"] if known else []
    if running > 1 and known:
        parts.append(f"{spelled_seconds(sum(known) / running)} with {running} at a time as now")
    if unknown:
        parts.append(f"not known for jobs of which none has finished: {', '.join(unknown)}")
    return f"Time left: {'; '.join(parts)}"


def _listed(run_status: RunStatus, state: State) -> Iterator[str]:
    statuses = run_status.of(state)
    if statuses:
        yield f"{state}:"
    for status in statuses[:LISTED]:
        line = (status.log.line if status.log else "") or "(nothing yet)"
        silent = f" (silent for {spelled_seconds(status.silent or 0)})" if state is State.STOPPED else ""
        yield f"  {' '.join([status.job.product.stage, *status.job.parts])}: {line}{silent}"
        if state is not State.RUNNING:
            yield f"    {run_status.run / status.job.log}"
    if len(statuses) > LISTED:
        yield f"  and {len(statuses) - LISTED} more"
