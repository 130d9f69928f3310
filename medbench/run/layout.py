"""The files of a run folder: one table says which rule writes each, what lies beside it, and where its log is.

Plan, rules, status, verify and pages read it; paths are those under the run folder.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import PurePath, PurePosixPath
from typing import TypeVar

from medbench.core.arms import Arm

# What a wildcard of a path may be, as Snakemake is told too.
WILDCARDS = {
    "dataset": "[a-z0-9_]+",
    "augmenter": "[a-z0-9_]+",
    "study": "[a-z0-9_]+",
    "page": "[a-z0-9_]+",
    "split": "train|test",
    "budget": "steps|epochs",
    "arm": "real|real\\+[a-z0-9_]+@[0-9.]+|only-[a-z0-9_]+",
    "origin": "real|seed[0-9]+",
    "seed": "[0-9]+",
}
RECORD = ".record.json"

PathT = TypeVar("PathT", bound=PurePath)


def record_of(path: PathT) -> PathT:
    """The record of a file or folder, which what lies beside it under the same name shares; a page has its own.

    >>> record_of(PurePosixPath("ct.raw.npz")).name, record_of(PurePosixPath("ct.html")).name
    ('ct.raw.record.json', 'ct.html.record.json')
    """
    if path.name.endswith(RECORD):
        return path
    return path.with_name((path.name if path.suffix == ".html" else path.stem) + RECORD)


@dataclass(frozen=True)
class Product:
    """What one kind of job writes.

    Args:
        stage: the rule.
        noun: as a reader calls it.
        pattern: the path by which others name it, with the wildcards of its rule; a folder's where it is one.
        companions: patterns of what the same job writes beside it.
    """

    stage: str
    noun: str
    pattern: str
    companions: tuple[str, ...] = ()

    def path(self, *values: object) -> str:
        """With these values in place of its wildcards, in their order."""
        return self.pattern.format(**dict(zip(self._wildcards, values, strict=True)))

    def parts(self, path: str) -> dict[str, str] | None:
        """Wildcard -> value; None: its job does not write this path."""
        matches = (regex.fullmatch(path) for regex in self._regexes)
        return next((match.groupdict() for match in matches if match), None)

    @property
    def is_folder(self) -> bool:
        return "." not in self.pattern

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.pattern, *self.companions)

    @property
    def records(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(record_of(PurePosixPath(output)).as_posix() for output in self.outputs))

    @property
    def log(self) -> str:
        """Pattern of the log of its job: models/{dataset}/seed{seed} -> logs/train/{dataset}-seed{seed}.log"""
        return f"logs/{self._job}.log"

    @property
    def checkpoints(self) -> str:
        """Pattern of the folder from which its job resumes."""
        return f"checkpoints/{self._job}"

    @property
    def _job(self) -> str:
        below = self.pattern.partition(".")[0].split("/")[1:]
        return f"{self.stage}/{'-'.join(below)}" if below else self.stage

    @cached_property
    def _wildcards(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.pattern)

    @cached_property
    def _regexes(self) -> list[re.Pattern[str]]:
        return [
            re.compile(
                re.sub(r"\\\{(\w+)\\\}", lambda found: f"(?P<{found[1]}>{WILDCARDS[found[1]]})", re.escape(pattern))
            )
            for pattern in (*self.outputs, *self.records)
        ]


FINDINGS = "audit/{dataset}.json"  # of the audit, beside the dataset that it lets through
SECTION = Product("section", "section", "sections/{page}.json")
RAW = Product("prepare", "raw dataset", "datasets/{dataset}.raw.npz", ("datasets/{dataset}.raw.json",))
DATASET = Product("audit", "dataset", "datasets/{dataset}.npz", ("datasets/{dataset}.json", FINDINGS))
AUDIT_PAGE = Product("audit_page", "audit", "audit/{dataset}.html")
MODEL = Product("train", "model", "models/{dataset}/{augmenter}/seed{seed}")
SAMPLES = Product("sample", "samples", "samples/{dataset}/{augmenter}/seed{seed}.npz")
REAL_FEATURES = Product("features", "features", "features/{dataset}/{split}.safetensors")
FEATURES = Product("features", "features", "features/{dataset}/{augmenter}/seed{seed}.safetensors")
FIDELITY = Product("fidelity", "fidelity", "fidelity/{dataset}/{augmenter}/seed{seed}.json")
NEIGHBOURS = Product("neighbours", "neighbours", "audit/{dataset}.neighbours.json")
NEIGHBOURS_PAGE = Product("neighbours_page", "neighbours", "audit/{dataset}.neighbours.html")
UTILITY = Product(
    "utility",
    "utility",
    "utility/{dataset}/{budget}/{arm}/{origin}.json",
    ("utility/{dataset}/{budget}/{arm}/{origin}.npz",),
)
TABLES = Product("tables", "tables", "tables/{study}")
FIGURES = Product("figures", "figures", "figures/{study}")
REPORT = Product("report", "report", "report.html")
# In the order of the pipeline.
PRODUCTS = (
    SECTION,
    RAW,
    DATASET,
    AUDIT_PAGE,
    MODEL,
    SAMPLES,
    REAL_FEATURES,
    FEATURES,
    FIDELITY,
    NEIGHBOURS,
    NEIGHBOURS_PAGE,
    UTILITY,
    TABLES,
    FIGURES,
    REPORT,
)
STAGES = ("fetch", *dict.fromkeys(product.stage for product in PRODUCTS if product is not SECTION))
# Their products are read by people, and not by another stage alone.
PAGES = (AUDIT_PAGE, NEIGHBOURS_PAGE, TABLES, FIGURES, REPORT)


@dataclass(frozen=True)
class Job:
    """The job that writes a product: paths are under the run folder."""

    product: Product
    wildcards: Mapping[str, str]

    @property
    def path(self) -> str:
        return self.at(self.product.pattern)

    @property
    def outputs(self) -> list[str]:
        """All that it writes, records included."""
        return [*map(self.at, (*self.product.outputs, *self.product.records))]

    @property
    def log(self) -> str:
        return self.at(self.product.log)

    @property
    def checkpoints(self) -> str:
        return self.at(self.product.checkpoints)

    @property
    def parts(self) -> list[str]:
        """Dataset, augmenter, seed ...: ct, annotated_l2, seed0"""
        return [f"seed{value}" if name == "seed" else value for name, value in self.wildcards.items()]

    def at(self, pattern: str) -> str:
        return pattern.format(**self.wildcards)


@cache
def job_of(path: str) -> Job:
    """The one that writes a file or folder.

    >>> job_of("models/ct/annotated_l2/seed0").log, job_of("datasets/ct.raw.npz").log
    ('logs/train/ct-annotated_l2-seed0.log', 'logs/prepare/ct.log')

    Raises:
        ValueError: none does.
    """
    for product in PRODUCTS:
        wildcards = product.parts(path)
        if wildcards is not None:
            return Job(product, wildcards)
    raise ValueError(f"{path}: no job of a run writes it")


def stage_of(path: str) -> str:
    return job_of(path).product.stage


def parts_of(path: str) -> list[str]:
    return job_of(path).parts


def log_of(path: str) -> str:
    return job_of(path).log


def real_features(dataset: str) -> list[str]:
    """Features of real images, which every generator of a dataset is measured against."""
    return [REAL_FEATURES.path(dataset, split) for split in ("train", "test")]


def made_from(path: str, models: Mapping[str, str], first_stages: Mapping[str, str]) -> list[str]:
    """The products that the job behind `path` reads, from the audited dataset on; of pages, what is drawn in them.

    Args:
        path: by which a product is named.
        models: augmenter -> the one whose model it samples, where that is another's.
        first_stages: augmenter -> the first stage that it uses.
    """
    job = job_of(path)
    dataset, *parts = job.parts or [""]
    seed, real = job.wildcards.get("seed"), DATASET.path(dataset)
    match job.product.stage:
        case "audit_page":
            return [RAW.path(dataset), real]
        case "train":
            # A study may list only an augmenter that samples this model, with the first stage that both have.
            first = {models.get(name, name): first for name, first in first_stages.items()}.get(parts[0])
            return [real, *([MODEL.path(dataset, first, seed)] if first else [])]
        case "sample":
            return [MODEL.path(dataset, models.get(parts[0], parts[0]), seed)]
        case "features":  # of a split, or of generated images
            return [SAMPLES.path(dataset, parts[0], seed)] if seed else [real]
        case "fidelity":
            return [*real_features(dataset), FEATURES.path(dataset, parts[0], seed)]
        case "neighbours":
            return real_features(dataset)
        case "neighbours_page":
            return [NEIGHBOURS.path(dataset)]
        case "utility":
            augmenter, origin = Arm.parse(parts[1]).augmenter, parts[2].removeprefix("seed")
            # An arm that mixes on the fly takes nobody's images.
            return [real, *([SAMPLES.path(dataset, augmenter, origin)] if origin != "real" else [])]
        case _:
            return []
