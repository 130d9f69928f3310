"""Values of the papers that a study re-implements: those of their abstracts; the full texts were not consulted."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    key: str  # the `paper` of a study
    label: str
    doi: str
    not_in_abstract: str  # what its values depend on and the abstract does not state

    @property
    def silence(self) -> str:
        return f"not in the abstract (the full text was not consulted): {self.not_in_abstract}"


@dataclass(frozen=True)
class PublishedValue:
    paper: Paper
    metric: str
    value: float
    loss: str | None = None
    dimension: int | None = None
    data: str | None = None  # the dataset, as the paper names it
    arm: str | None = None  # REAL or MIXED
    augmenter: str | None = None

    @property
    def source(self) -> str:
        return f"published ({self.paper.label})"

    @property
    def note(self) -> str:
        return f"doi {self.paper.doi}; {self.paper.silence}"


REAL = "real"
MIXED = "real + generated"

CAO = Paper(
    key="cao2025",
    label="Cao et al. 2025",
    doi="10.2174/0115734056401610250827114351",
    not_in_abstract="subsets, image size, diffusion steps, schedule, epochs, number of samples, FID package and"
    " reference",
)
YUAN = Paper(
    key="medienet2025",
    label="Yuan et al. 2025",
    doi="10.1186/s12880-025-01909-5",
    not_in_abstract="splits, image size, how ResNet50 was trained, how many images were generated, number of runs and"
    " their spread, code, which tongue dataset",
)

PUBLISHED = (
    PublishedValue(CAO, "fid", 0.85, loss="l2", dimension=64),
    PublishedValue(CAO, "fid", 15.2, loss="huber", dimension=2048),
    PublishedValue(YUAN, "auroc", 0.76, data="Chest CT-Scan", arm=REAL),
    PublishedValue(YUAN, "auroc", 0.82, data="Chest CT-Scan", arm=MIXED, augmenter="MedIENet"),
    PublishedValue(YUAN, "auroc", 0.87, data="Chest X-Ray (Pneumonia)", arm=REAL),
    PublishedValue(YUAN, "auroc", 0.94, data="Chest X-Ray (Pneumonia)", arm=MIXED, augmenter="MedIENet"),
    PublishedValue(YUAN, "auroc", 0.78, data="tongue", arm=REAL),
    PublishedValue(YUAN, "auroc", 0.82, data="tongue", arm=MIXED, augmenter="MedIENet"),
)


def published_values(papers: Collection[str], metric: str) -> list[PublishedValue]:
    """What `papers` (keys of Paper) state of `metric`, paper by paper; empty where they state nothing of it."""
    return [value for value in PUBLISHED if value.paper.key in papers and value.metric == metric]
