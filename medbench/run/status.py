"""`medbench status`: what of a run is done, running, failed, and how long the rest will take."""

import shlex
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from medbench.core.errors import UserError
from medbench.run.contents import made_with
from medbench.run.job_logs import End, Log, read_log, spelled_seconds
from medbench.run.jobs import PAGE_STAGES, PlannedJob, jobs_of, read_plan
from medbench.run.layout import STAGES
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
    job: PlannedJob
    state: State
    log: Log | None
    silent: float | None = None  # seconds since it wrote anything; None: it wrote nothing
    seconds: float | None = None  # that it took, where it finished with the config as it is
    problem: str | None = None  # why a file of it could not be read


def job_states(run: Path, jobs: Mapping[str, PlannedJob], now: float) -> list[JobStatus]:
    """In the order of `jobs`.

    Args:
        run: the run folder.
        jobs: key -> job.
        now: seconds since the epoch.
    """
    states = _States(run, jobs, now)
    return [states.status(job) for job in jobs.values()]


class _States:
    def __init__(self, run: Path, jobs: Mapping[str, PlannedJob], now: float):
        self.run, self.jobs, self.now = run, jobs, now
        self.problems: dict[str, str] = {}
        self.readers: dict[str, list[PlannedJob]] = {}  # key -> the jobs that read its files
        for job in jobs.values():
            for needed in job.needs:
                self.readers.setdefault(needed, []).append(job)
        self.state, self.log = cache(self._state), cache(self._log)
        self.is_complete, self.is_dispensable = cache(self._is_complete), cache(self._is_dispensable)

    def status(self, job: PlannedJob) -> JobStatus:
        state, log = self.state(job), self.log(job)
        seconds = log.usage.seconds if log and log.usage and self.is_complete(job) else None
        return JobStatus(job, state, log, self._silent(job), seconds, self.problems.get(job.key))

    def _log(self, job: PlannedJob) -> Log | None:
        return read_log(self.run / job.log)

    def _state(self, job: PlannedJob) -> State:
        ready = all(self.state(self.jobs[needed]) is State.DONE for needed in job.needs if needed in self.jobs)
        if self.is_complete(job):
            return State.DONE if ready and not self._is_older(job) else State.OUTDATED
        begun = self._begun(job)
        if begun:
            return begun
        if ready and self.is_dispensable(job):
            return State.DONE
        return State.OUTDATED if (self.run / job.key).exists() else State.WAITING

    def _begun(self, job: PlannedJob) -> State | None:
        log, silent = self.log(job), self._silent(job)
        if is_held(self.run / job.checkpoints):
            return State.RUNNING  # though a second one that was refused may have the log
        if log is None or log.end is End.FINISHED:
            return None
        if log.end is not End.OPEN:
            return State(log.end)
        return State.RUNNING if silent is not None and silent <= FRESH else State.STOPPED

    def _is_complete(self, job: PlannedJob) -> bool:
        """Whether all that a job writes exists, made with the config as it is."""
        return all((self.run / path).exists() for path in job.outputs) and self._is_of_config(job)

    def _is_of_config(self, job: PlannedJob) -> bool:
        """False also where the file that should say so cannot be read."""
        try:
            return job.made_with is None or made_with(self.run / job.key) == job.made_with
        except UserError as error:
            if (self.run / job.key).exists():  # else a job at work removed it meanwhile
                self.problems[job.key] = str(error)
            return False

    def _is_older(self, job: PlannedJob) -> bool:
        """Whether what it was made from is newer, which counts where no hash tells."""
        sources = [self.run / needed for needed in job.needs]
        written = _newest([self.run / job.key])
        return job.made_with is None and (_newest(sources) or 0) > (written or 0)

    def _is_dispensable(self, job: PlannedJob) -> bool:
        """Whether nothing needs its files again: they were removed once all that is made from them existed."""
        readers = self.readers.get(job.key, [])
        if job.stage in PAGE_STAGES or not readers or ((self.run / job.key).exists() and not self._is_of_config(job)):
            return False
        return all(self.is_complete(reader) or self.is_dispensable(reader) for reader in readers)

    def _silent(self, job: PlannedJob) -> float | None:
        written = _newest([self.run / job.log])
        return None if written is None else max(0.0, self.now - written)


def _newest(paths: Iterable[Path]) -> float | None:
    """When the last of the existing files was written; None: none exists."""
    times = []
    for path in paths:
        try:
            times.append(path.stat().st_mtime)
        except FileNotFoundError:  # never written, or removed at this moment by a job at work
            continue
    return max(times, default=None)


@dataclass(frozen=True)
class StageEstimate:
    stage: str
    jobs: int
    counts: dict[State, int]
    median: float | None  # seconds of a finished job; None: none finished
    seconds_left: float | None  # of all jobs that are left, one after another; None: not known

    @property
    def jobs_left(self) -> int:
        return self.jobs - self.counts[State.DONE]


def estimates(statuses: Sequence[JobStatus]) -> list[StageEstimate]:
    """One per stage that the run has, in the order of the pipeline."""
    of_stage = {stage: [status for status in statuses if status.job.stage == stage] for stage in STAGES}
    return [_estimate(stage, stage_statuses) for stage, stage_statuses in of_stage.items() if stage_statuses]


def _estimate(stage: str, statuses: list[JobStatus]) -> StageEstimate:
    counts = {state: sum(status.state is state for status in statuses) for state in State}
    left = [status for status in statuses if status.state is not State.DONE]
    seconds: dict[tuple[str, ...], list[float]] = {}
    for status in statuses:
        if status.seconds is not None:
            seconds.setdefault(status.job.workload, []).append(status.seconds)
    median = statistics.median([value for values in seconds.values() for value in values]) if seconds else None
    # An augmenter or arm of which a job finished is judged by its own; any other by the whole stage.
    medians = {workload: statistics.median(values) for workload, values in seconds.items()}
    known = 0.0 if not left else None if median is None else sum(medians.get(s.job.workload, median) for s in left)
    return StageEstimate(stage, len(statuses), counts, median, known)


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


def status_text(run_status: RunStatus) -> str:
    """A table with one line per stage, the time left, then every job that runs, stopped or failed."""
    stages = estimates(run_status.jobs)
    lines = [f"{run_status.run}: {', '.join(run_status.studies)}", *_table(stages), _time_left(stages, run_status)]
    for state in (State.RUNNING, State.STOPPED, State.FAILED):
        lines += _listed(run_status, state)
    return "\n".join([*lines, *_unreadable(run_status)])


def _table(stages: Sequence[StageEstimate]) -> list[str]:
    rows = [["stage", "jobs", *State, "a job takes", "time left"], *map(_row, stages)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]


def _row(stage: StageEstimate) -> list[str]:
    counts = [str(n) if n else "-" for n in stage.counts.values()]
    takes = spelled_seconds(stage.median) if stage.median is not None else "-"
    left = (
        "not known" if stage.seconds_left is None else spelled_seconds(stage.seconds_left) if stage.jobs_left else "-"
    )
    return [stage.stage, str(stage.jobs), *counts, takes, left]


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
        yield f"  {status.job.name}: {_last_line(status)}"
        if state is not State.RUNNING:
            yield f"    {run_status.run / status.job.log}"
    if len(statuses) > LISTED:
        yield f"  and {len(statuses) - LISTED} more"


def _last_line(status: JobStatus) -> str:
    line = (status.log.line if status.log else "") or "(nothing yet)"
    if status.state is not State.STOPPED or status.silent is None:
        return line
    return f"{line} (silent for {spelled_seconds(status.silent)})"


def _unreadable(run_status: RunStatus) -> Iterator[str]:
    problems = [status.problem for status in run_status.jobs if status.problem]
    if problems:
        yield f"damaged (medbench verify {shlex.quote(str(run_status.run))} says more):"
    yield from (f"  {problem}" for problem in problems[:LISTED])
