"""Test images with a suspiciously close training image in the extractor's features, beyond what hashes find.

A test image is suspicious if its nearest training image has a cosine similarity of at least FLOORS[dimension]. The
yardstick beside it is how close training images lie to each other. If half of them lie that close themselves, the
floor says nothing about the dataset, and a test image must also lie closer than 99 % of them do.

The floor of 0.99 was chosen by looking at the closest pairs of three public sets, prepared at 64 pixels, in features of
dimension 768:

- Chest CT, without exact repeats: 232 test and 493 training slices. 12 test images lie at 0.99 or more, and all 12 show
  the picture that their training image shows, cropped a little otherwise or with a line drawn on it. The hashes had
  found two of the 12. Of the next 36, down to 0.98, two show the same picture, and the others are slices that look
  alike, of one patient or of two. At 28 pixels, of 60 test and 138 training images, 11 of the 12 are found and nothing
  else. As published 47 of 259 are found: all 46 that are pixel-identical to a training image, and one more. Among the
  training images themselves 177 have another one at 0.99 or more: copies, and neighbouring slices of one patient.
- Photographs of tongues: of 77 test images none lies closer than 0.983 to one of 264, and the closest pairs show
  different tongues. A floor of 0.98 would take two of them.
- Chest X-rays: of 120 test images none lies closer than 0.978 to one of 600.

The 99th percentile alone would not do. In the first set more than 1 % of the training images are near copies of each
other, which puts it at 0.9997, above 11 of the 12 pairs; among the tongues it is 0.979, and the two test images above
it are chance. Images with equal pixels count once in the yardstick for the same reason.

Of 16 images of each set, every one made darker by a quarter is at 0.99 or more from itself, and mirrored ones are in 40
of 48 cases; moved by one pixel 29 of 48 are, turned by 4 degrees 13, blurred or saved as JPEG at quality 40 none. So
this count, too, is a lower bound. At dimension 2048 no pairs were looked at, and the floor of 768 is taken over. At 64
and 192 the nearest neighbours are at 0.999 or more in all three sets, whatever they show.
"""

from dataclasses import dataclass

import numpy as np

from medbench.audit.report import ImageName, Part
from medbench.data.dataset import Dataset, SplitName
from medbench.data.digest import pixel_digest
from medbench.errors import UserError

FLOORS = {768: 0.99, 2048: 0.99}  # by dimension
PERCENTILE = 99  # of the training images
MOST_LISTED = 200
MOST_MEASURED = 10_000  # training images that the yardstick is taken from; their neighbours are sought among all
BINS = 40
DIGITS = 5  # of a similarity
TIE = 1e-6  # what float32 sums over 2048 features can be wrong by
QUERIES, KEYS = 512, 4096  # rows of one matrix product


class Closeness(Part):
    """Cosine similarity of images to their nearest training image."""

    images: int  # measured
    median: float
    percentile_99: float
    largest: float
    histogram: list[float]  # share of images in each of BINS bins from `histogram_from` to 1


class NeighbourPair(Part):
    """A test image and its nearest training image; rows are those of the dataset under its protocol."""

    test: ImageName
    train: ImageName
    similarity: float
    identical: bool  # every pixel, as prepared


class NeighboursReport(Part):
    dataset: str
    title: str
    protocol: str
    dataset_sha256: str | None  # of its npz
    extractor: str
    dimension: int
    floor: float
    alike: bool  # half of the training images reach the floor, so that the percentile must be passed too
    histogram_from: float
    train: Closeness  # of distinct training images, each to the nearest other one
    test: Closeness
    above_floor: int  # test images at the floor or closer
    above_percentile: int  # test images closer than 99 % of the training images are
    suspicious: int  # test images
    identical: int  # of the suspicious ones
    two_labels: int  # of the suspicious ones, those under another label than their nearest training image
    findings: list[str]  # worst first
    pairs: list[NeighbourPair]  # the first of all test images, closest first
    made_with: str | None = None  # Stage.made_with() of the section that asked for it


@dataclass(frozen=True)
class Features:
    """Of N images, float32 (N, D), and what a cosine and a leave-one-out search need of each."""

    rows: np.ndarray
    norms: np.ndarray  # (N,) float64
    pixels: np.ndarray  # (N,) uint64: equal for equal pixels

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, at: np.ndarray | slice) -> "Features":
        return Features(self.rows[at], self.norms[at], self.pixels[at])


def neighbours(
    dataset: Dataset, train: np.ndarray, test: np.ndarray, dimension: int, extractor: str
) -> NeighboursReport:
    """Looks for the nearest training image of every test image.

    Args:
        dataset: under its protocol; origins are not needed.
        train: features (N, D) of its training images, in their order.
        test: features (M, D) of its test images.
        dimension: D, which must be one of FLOORS.
        extractor: its description, for the reader.

    Raises:
        UserError: features of another size, ones that are not finite or all zero, or too few images.
    """
    if dimension not in FLOORS:
        raise UserError(f"dimension: {dimension} is too shallow to tell copies from others (allowed: {list(FLOORS)})")
    own = _features(dataset, "test", test, dimension)
    known = _features(dataset, "train", train, dimension)
    measured = _distinct(dataset, known)
    rows, to_known = nearest(own, known, np.arange(len(own)))
    among_known = nearest(known, known, measured, others=True)[1]
    return _report(dataset, _pairs(dataset, own, known, rows, to_known), among_known, dimension, extractor)


def nearest(queries: Features, keys: Features, at: np.ndarray, others: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The nearest key of the queries in rows `at` (Q,): its row (Q,) int64, the lowest of equally near ones, and the
    cosine similarity (Q,) float64, rounded to DIGITS.

    Args:
        others: leave out keys whose pixels equal the query's.
    """
    rows, found = np.empty(len(at), dtype=np.int64), np.empty(len(at))
    for start in range(0, len(at), QUERIES):
        block = slice(start, start + QUERIES)
        part = queries.take(at[block])
        rows[block] = _nearest_rows(part, keys, others)
        found[block] = _cosines(part, keys.take(rows[block]))
    return rows, np.minimum(found, 1).round(DIGITS)


def _nearest_rows(queries: Features, keys: Features, others: bool) -> np.ndarray:
    """Keys go by in blocks, so that a hundred thousand need no more memory than their features do."""
    unit = (queries.rows / queries.norms[:, None]).astype(np.float32)
    best, rows = np.full(len(queries), -np.inf, dtype=np.float32), np.zeros(len(queries), dtype=np.int64)
    for start in range(0, len(keys), KEYS):
        part = keys.take(slice(start, start + KEYS))
        cosines = unit @ part.rows.T
        cosines /= part.norms.astype(np.float32)
        if others:
            cosines[queries.pixels[:, None] == part.pixels] = -np.inf
        largest = cosines.max(axis=1)
        first = (cosines >= largest[:, None] - TIE).argmax(axis=1)
        better = largest > best + TIE
        best[better], rows[better] = largest[better], start + first[better]
    return rows


def _cosines(first: Features, second: Features) -> np.ndarray:
    """Of pairs of rows, (N,) float64."""
    return np.einsum("nd,nd->n", first.rows, second.rows, dtype=np.float64) / (first.norms * second.norms)


def _features(dataset: Dataset, name: SplitName, given: np.ndarray, dimension: int) -> Features:
    rows, images = np.asarray(given, dtype=np.float32), dataset.splits[name].images
    where = f"{dataset.card.name}: {name} features"
    if rows.shape != (len(images), dimension):
        raise UserError(f"{where} are {rows.shape}, expected {(len(images), dimension)}; make them from this dataset")
    if not len(rows):
        raise UserError(f"{where}: there is no {name} image")
    norms = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
    for wrong, what in ((~np.isfinite(norms), "NaN or infinite"), (norms == 0, "all zero")):
        if wrong.any():
            raise UserError(
                f"{where}: row {wrong.argmax()} is {what}; check the extractor's weights and make them anew"
            )
    # 64 of the digest's bits compare fast; that any two of 100,000 images share them by chance is below 1e-9.
    return Features(rows, norms, np.array([int(pixel_digest(image)[:16], 16) for image in images], dtype=np.uint64))


def _distinct(dataset: Dataset, known: Features) -> np.ndarray:
    """Rows of distinct training images, of each the first copy; of very many some, evenly spaced."""
    rows = np.sort(np.unique(known.pixels, return_index=True)[1])
    if len(rows) < 2:
        raise UserError(f"{dataset.card.name}: has {len(rows)} distinct training image, and neighbours need 2 or more")
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_MEASURED)).round().astype(int)]


def _pairs(
    dataset: Dataset, own: Features, known: Features, rows: np.ndarray, similarities: np.ndarray
) -> list[NeighbourPair]:
    """Of all test images, closest first."""
    return [
        NeighbourPair(
            test=_named(dataset, "test", i),
            train=_named(dataset, "train", rows[i]),
            similarity=similarities[i],
            identical=bool(own.pixels[i] == known.pixels[rows[i]]),
        )
        for i in np.argsort(-similarities, kind="stable")
    ]


def _named(dataset: Dataset, split: SplitName, row: int) -> ImageName:
    label = dataset.card.classes[dataset.splits[split].labels[row]]
    return ImageName(split=split, row=int(row), name=f"{split} {row}", label=label)


def _report(
    dataset: Dataset, pairs: list[NeighbourPair], among_known: np.ndarray, dimension: int, extractor: str
) -> NeighboursReport:
    to_known = np.array([pair.similarity for pair in pairs])
    start = _histogram_start(to_known, among_known)
    train, test = _closeness(among_known, start), _closeness(to_known, start)
    close, closer = to_known >= FLOORS[dimension], to_known > train.percentile_99
    alike = train.median >= FLOORS[dimension]
    suspicious = pairs[: int((close & closer if alike else close).sum())]  # pairs are sorted
    report = NeighboursReport(
        dataset=dataset.card.name,
        title=dataset.card.title,
        protocol=dataset.card.protocol,
        dataset_sha256=dataset.card.npz_sha256,
        extractor=extractor,
        dimension=dimension,
        floor=FLOORS[dimension],
        alike=alike,
        histogram_from=start,
        train=train,
        test=test,
        above_floor=int(close.sum()),
        above_percentile=int(closer.sum()),
        suspicious=len(suspicious),
        identical=sum(pair.identical for pair in suspicious),
        two_labels=sum(pair.test.label != pair.train.label for pair in suspicious),
        findings=[],
        pairs=pairs[:MOST_LISTED],
    )
    return report.model_copy(update={"findings": findings(report)})


def _histogram_start(*similarities: np.ndarray) -> float:
    """The smallest of all, rounded down, and below 1 in any case."""
    return min(*(np.floor(100 * each.min()).item() / 100 for each in similarities), 0.99)


def _closeness(similarities: np.ndarray, start: float) -> Closeness:
    counts = np.histogram(similarities, bins=BINS, range=(start, 1))[0]
    return Closeness(
        images=len(similarities),
        median=round(float(np.median(similarities)), DIGITS),
        percentile_99=round(float(np.percentile(similarities, PERCENTILE)), DIGITS),
        largest=float(similarities.max()),
        histogram=(counts / len(similarities)).round(6).tolist(),
    )


def findings(report: NeighboursReport) -> list[str]:
    """Sentences that a report can quote, worst first."""
    told = [_suspicious(report), _against_training(report)]
    if "RANDOM weights" in report.extractor:
        told.insert(0, "Features of an extractor with random weights: these numbers only show that the pipeline works.")
    return told


def _suspicious(report: NeighboursReport) -> str:
    if not report.suspicious:
        return (
            "No test image lies suspiciously close to a training image in features: the closest has a cosine"
            f" similarity of {report.test.largest:.4f}. Blurred, turned or cropped copies can escape."
        )
    lie = "lies" if report.suspicious == 1 else "lie"
    return (
        f"{report.suspicious:,} of {report.test.images:,} test images {lie} suspiciously close to a training image in"
        f" features (cosine similarity {report.floor:g} or more), {_some(report.identical)} pixel-identical to it and"
        f" {_some(report.two_labels)} under another label: a hint, not proof, as patients are unknown."
    )


def _some(count: int) -> str:
    return f"{count:,} of them" if count else "none of them"


def _against_training(report: NeighboursReport) -> str:
    if report.alike:
        return (
            f"Half of the training images have another one at {report.train.median:.4f} or more, and"
            f" {report.above_floor:,} of {report.test.images:,} test images a training image at {report.floor:g} or"
            f" more: in a dataset so alike only test images closer than {PERCENTILE} % of training images are to each"
            " other count as suspicious, and copies can escape."
        )
    lie = "lies" if report.above_percentile == 1 else "lie"
    return (
        f"{report.above_percentile:,} of {report.test.images:,} test images {lie} closer to a training image than"
        f" {PERCENTILE} % of distinct training images lie to each other; 1 in 100 would be chance."
    )
