"""Values printed in the papers that a study regenerates: only what their abstracts state."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    key: str  # the `paper` of a study
    label: str
    doi: str
    not_public: str  # what a reader cannot know of its values


@dataclass(frozen=True)
class PublishedValue:
    paper: Paper
    metric: str
    value: float
    loss: str | None = None
    dimension: int | None = None

    @property
    def source(self) -> str:
        return f"published ({self.paper.label})"


CAO = Paper(
    key="cao2025",
    label="Cao et al. 2025",
    doi="10.2174/0115734056401610250827114351",
    not_public="subsets, image size, diffusion steps, schedule, epochs, number of samples, FID package and reference",
)

PUBLISHED = (
    PublishedValue(CAO, "fid", 0.85, loss="l2", dimension=64),
    PublishedValue(CAO, "fid", 15.2, loss="huber", dimension=2048),
)


def published_values(paper: str | None, metric: str) -> list[PublishedValue]:
    """What `paper` (a Paper's key) states of `metric`; empty for None and for a paper that states nothing of it."""
    return [value for value in PUBLISHED if value.paper.key == paper and value.metric == metric]
