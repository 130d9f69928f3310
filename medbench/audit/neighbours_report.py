"""What a search for near neighbours in features found, as it stands in audit/<dataset>.neighbours.json."""

from medbench.audit.report import ImageName, Part

PERCENTILE = 99  # of the training images


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
    one_group: int | None = None  # those of its group; None where no group has two images, so that none is known
    pairs: list[NeighbourPair]  # the first of all test images, closest first
    made_with: str | None = None  # Stage.made_with() of the section that asked for it
