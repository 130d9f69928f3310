"""How long the jobs that are left will take, judged from those that finished."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from medbench.inspect.jobs import STAGES
from medbench.inspect.states import JobStatus, State


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
