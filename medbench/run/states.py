"""Where each job of a run stands, judged by its files, its log and its checkpoints."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from medbench.core.errors import UserError
from medbench.run.jobs import PAGES, Job
from medbench.run.layout import made_with
from medbench.run.log_endings import End, Log, read_log
from medbench.system.run_lock import is_held

FRESH = 120.0  # seconds: a job whose log was touched since then is at work, see medbench.run.logs


class State(StrEnum):
    DONE = "done"
    OUTDATED = "outdated"  # its files are there, and the config, or what they were made from, is another now
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
    problem: str | None = None  # why a file of it could not be read


def job_states(run: Path, jobs: Mapping[str, Job], now: float) -> list[JobStatus]:
    """In the order of `jobs`.

    Args:
        run: the run folder.
        jobs: key -> job.
        now: seconds since the epoch.
    """
    states = _States(run, jobs, now)
    return [states.status(job) for job in jobs.values()]


class _States:
    def __init__(self, run: Path, jobs: Mapping[str, Job], now: float):
        self.run, self.jobs, self.now = run, jobs, now
        self.problems: dict[str, str] = {}
        self.found: dict[str, State] = {}
        self.spared: dict[str, bool] = {}

    @cached_property
    def logs(self) -> dict[str, Log | None]:
        return {key: read_log(self.run / job.log) for key, job in self.jobs.items()}

    @cached_property
    def whole(self) -> dict[str, bool]:
        """Whether all that a job writes is there, and made with the config as it is."""
        return {key: self._is_whole(job) for key, job in self.jobs.items()}

    @cached_property
    def readers(self) -> dict[str, list[str]]:
        """Key -> those of the jobs that read its files."""
        found: dict[str, list[str]] = {}
        for key, job in self.jobs.items():
            for needed in job.needs:
                found.setdefault(needed, []).append(key)
        return found

    def status(self, job: Job) -> JobStatus:
        log = self.logs[job.key]
        seconds = log.usage.seconds if log and log.usage and self.whole[job.key] else None
        return JobStatus(job, self.state(job.key), log, self._silent(job), seconds, self.problems.get(job.key))

    def state(self, key: str) -> State:
        if key not in self.found:
            self.found[key] = self._state(self.jobs[key])
        return self.found[key]

    def _state(self, job: Job) -> State:
        ready = all(self.state(needed) is State.DONE for needed in job.needs if needed in self.jobs)
        if self.whole[job.key]:
            return State.DONE if ready and not self._is_older(job) else State.OUTDATED
        begun = self._begun(job)
        if begun:
            return begun
        if ready and self._is_spared(job.key):
            return State.DONE
        return State.OUTDATED if (self.run / job.key).exists() else State.WAITING

    def _begun(self, job: Job) -> State | None:
        log, silent = self.logs[job.key], self._silent(job)
        if is_held(self.run / job.checkpoints):
            return State.RUNNING  # though a second one that was refused may have the log
        if log is None or log.end is End.FINISHED:
            return None
        if log.end is not End.OPEN:
            return State(log.end)
        return State.RUNNING if silent is not None and silent <= FRESH else State.STOPPED

    def _is_whole(self, job: Job) -> bool:
        return all((self.run / path).exists() for path in job.outputs) and self._is_of_config(job)

    def _is_of_config(self, job: Job) -> bool:
        """False also where the file that should say so cannot be read."""
        try:
            return job.made_with is None or made_with(self.run / job.key) == job.made_with
        except UserError as error:
            if (self.run / job.key).exists():  # else a job at work removed it meanwhile
                self.problems[job.key] = str(error)
            return False

    def _is_older(self, job: Job) -> bool:
        """Than what it was made from, which is asked where no hash tells."""
        sources = [self.run / needed for needed in job.needs]
        written = _newest([self.run / job.key])
        return job.made_with is None and (_newest(sources) or 0) > (written or 0)

    def _is_spared(self, key: str) -> bool:
        """Whether nothing needs its files again: they were removed once all that is made from them was there."""
        if key not in self.spared:
            self.spared[key] = self._may_be_missing(self.jobs[key])
        return self.spared[key]

    def _may_be_missing(self, job: Job) -> bool:
        readers = self.readers.get(job.key, [])
        if job.stage in PAGES or not readers or ((self.run / job.key).exists() and not self._is_of_config(job)):
            return False
        return all(self.whole[own] or self._is_spared(own) for own in readers)

    def _silent(self, job: Job) -> float | None:
        written = _newest([self.run / job.log])
        return None if written is None else max(0.0, self.now - written)


def _newest(paths: Iterable[Path]) -> float | None:
    """When the last of the files that are there was written; None: none is there."""
    times = []
    for path in paths:
        try:
            times.append(path.stat().st_mtime)
        except FileNotFoundError:  # never there, or removed at this moment by a job at work
            continue
    return max(times, default=None)
