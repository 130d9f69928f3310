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
this count, too, is a lower bound. At dimension 2048 no pairs were looked at, and the floor of 768 is taken over
untested. At 64 and 192 the nearest neighbours are at 0.999 or more in all three sets, whatever they show. On these sets
themselves the counts are no independent test of the floor, as it was chosen there.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from medbench.audit.results import PERCENTILE, Closeness, ImageName, NeighbourPair, NeighboursResult
from medbench.audit.sections import NeighboursStage
from medbench.core.errors import UserError
from medbench.data.dataset import Dataset, SplitName
from medbench.data.digest import pixel_digest
from medbench.data.feature_vectors import DIGITS, Vectors, nearest, read_features_of
from medbench.run.formats import write_model

FLOORS = {768: 0.99, 2048: 0.99}  # by dimension
CHOSEN_AT = 768  # dimension
MOST_LISTED = 200
MOST_MEASURED = 10_000  # training images that the yardstick is taken from; their neighbours are sought among all
BINS = 40


def neighbours(
    dataset: Dataset, train: np.ndarray, test: np.ndarray, dimension: int, extractor: str
) -> NeighboursResult:
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
    test_vectors = _vectors(dataset, "test", test, dimension)
    train_vectors = _vectors(dataset, "train", train, dimension)
    measured = _distinct(dataset, train_vectors)
    rows, to_train = nearest(test_vectors, train_vectors, np.arange(len(test_vectors)))
    among_train = nearest(train_vectors, train_vectors, measured, others=True)[1]
    return _result(
        dataset, _pairs(dataset, test_vectors, train_vectors, rows, to_train), among_train, dimension, extractor
    )


def _vectors(dataset: Dataset, name: SplitName, features: np.ndarray, dimension: int) -> Vectors:
    rows, images = np.asarray(features, dtype=np.float32), dataset.splits[name].images
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
    return Vectors(rows, norms, np.array([int(pixel_digest(image)[:16], 16) for image in images], dtype=np.uint64))


def _distinct(dataset: Dataset, train_vectors: Vectors) -> np.ndarray:
    """Rows of distinct training images, of each the first copy; of very many some, evenly spaced."""
    rows = np.sort(np.unique(train_vectors.pixels, return_index=True)[1])
    if len(rows) < 2:
        raise UserError(f"{dataset.card.name}: has {len(rows)} distinct training image, and neighbours need 2 or more")
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_MEASURED)).round().astype(int)]


def _pairs(
    dataset: Dataset, test_vectors: Vectors, train_vectors: Vectors, rows: np.ndarray, similarities: np.ndarray
) -> list[NeighbourPair]:
    """Of all test images, closest first."""
    return [
        NeighbourPair(
            test=_named(dataset, "test", i),
            train=_named(dataset, "train", rows[i]),
            similarity=similarities[i],
            identical=bool(test_vectors.pixels[i] == train_vectors.pixels[rows[i]]),
        )
        for i in np.argsort(-similarities, kind="stable")
    ]


def _named(dataset: Dataset, split: SplitName, row: int) -> ImageName:
    label = dataset.card.classes[dataset.splits[split].labels[row]]
    return ImageName(split=split, row=int(row), name=f"{split} {row}", label=label)


def _result(
    dataset: Dataset, pairs: list[NeighbourPair], among_train: np.ndarray, dimension: int, extractor: str
) -> NeighboursResult:
    to_train = np.array([pair.similarity for pair in pairs])
    start = _histogram_start(to_train, among_train)
    train, test = _closeness(among_train, start), _closeness(to_train, start)
    close, closer = to_train >= FLOORS[dimension], to_train > train.percentile_99
    alike = train.median >= FLOORS[dimension]
    suspicious = pairs[: int((close & closer if alike else close).sum())]  # pairs are sorted
    return NeighboursResult(
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
        one_group=_of_one_group(dataset, suspicious),
        pairs=pairs[:MOST_LISTED],
    )


def _of_one_group(dataset: Dataset, pairs: list[NeighbourPair]) -> int | None:
    """None if every group is one image: then groups are not known, and two images of one cannot be told."""
    groups = {name: split.groups for name, split in dataset.splits.items()}
    together = np.concatenate(list(groups.values()))
    if len(np.unique(together)) == len(together):
        return None
    return sum(bool(groups["test"][pair.test.row] == groups["train"][pair.train.row]) for pair in pairs)


def _histogram_start(*similarities: np.ndarray) -> float:
    """The smallest of all, rounded down, and below 1 in any case."""
    return min(*(np.floor(100 * of_set.min()).item() / 100 for of_set in similarities), 0.99)


def _closeness(similarities: np.ndarray, start: float) -> Closeness:
    counts = np.histogram(similarities, bins=BINS, range=(start, 1))[0]
    return Closeness(
        images=len(similarities),
        median=round(float(np.median(similarities)), DIGITS),
        percentile_99=round(float(np.percentile(similarities, PERCENTILE)), DIGITS),
        largest=float(similarities.max()),
        histogram=(counts / len(similarities)).round(6).tolist(),
    )


def audit_neighbours(
    dataset_path: Path, feature_paths: Mapping[str, Path], stage: NeighboursStage, output: Path
) -> None:
    """Writes which test images lie suspiciously close to a training image in features.

    Args:
        dataset_path: npz that `audit` wrote.
        feature_paths: files of the features stage under `train` and `test`.
        stage: the dimension to look at, and the number of threads.
        output: the json to write.

    Raises:
        UserError: features that do not belong to the dataset, or lack the dimension.
    """
    dataset, features, made_by = read_features_of(dataset_path, feature_paths)
    key = str(stage.dimension)
    for name, path in feature_paths.items():
        if key not in features[name]:
            raise UserError(f"{path}: holds no features of {key} dimensions; extract them again")
    train, test = (features[name][key] for name in ("train", "test"))
    with threadpool_limits(stage.torch_threads):  # sums depend on the number of threads
        result = neighbours(dataset, train, test, stage.dimension, made_by["test"]["extractor"])
    write_model(output, result)
