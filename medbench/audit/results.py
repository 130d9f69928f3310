"""What an audit writes: audit/<dataset>.json, and of neighbours in features audit/<dataset>.neighbours.json."""

from typing import Literal

from medbench.data.dataset import SplitName
from medbench.data.sections import Protocol
from medbench.run.formats import Part


class ImageName(Part):
    split: SplitName
    row: int  # in its split of the raw dataset
    name: str  # in the source
    label: str  # a class


class ClassShare(Part):
    """How many images of a split, or of one class in it, stand in another split too."""

    images: int
    of: int
    distinct: int  # how many different images these are


class Crossing(ClassShare):
    """Images of `split` that stand in `other` too, under any label."""

    split: SplitName
    other: SplitName
    classes: dict[str, ClassShare]


class Copies(Part):
    """Rows with the same pixels."""

    images: list[ImageName]


class ExactDuplicates(Part):
    images: int
    distinct: int
    test_copies: list[ImageName]  # images of test that stand in train or val too
    repeats: dict[SplitName, int]  # images that repeat an earlier one of their split
    crossings: list[Crossing]
    across_total: int  # distinct images that stand in more than one split
    across: list[Copies]  # the first of them: those of test and train, then of val and train, then of test and val
    two_labels_total: int  # distinct images whose copies carry different labels
    two_labels: list[Copies]  # the first of them


class NearPair(Part):
    first: ImageName
    second: ImageName
    bits: int  # in which the perceptual hashes differ
    correlation: float  # of the details


class SplitPairs(Part):
    first: SplitName
    second: SplitName
    pairs: int


class NearDuplicates(Part):
    """Pairs of distinct images that show the same; each image counts where `clean` keeps its copy."""

    max_bits: int
    min_correlation: float
    compared: int  # distinct images; flat ones are left out, as they all look alike
    crowded: int  # distinct images that were not compared with all, see medbench.audit.near
    total: int
    two_labels: int  # pairs whose images carry different labels
    by_splits: list[SplitPairs]
    across_after: int  # pairs whose images stand in different splits once the protocol is applied
    crossings: list[Crossing]  # images that have no equal in the other split but a near duplicate
    pairs: list[NearPair]  # the first of them, most alike first


class GroupCrossing(Part):
    """Groups that have images in both splits; whether they are patients is for the dataset's card to say."""

    split: SplitName
    other: SplitName
    groups: int
    images: int  # of `split`


class FlatImages(Part):
    """Images without content: of one grey level, or with a standard deviation below `below_sd` grey levels."""

    below_sd: float
    constant: dict[SplitName, int]
    near_constant: dict[SplitName, int]  # besides the constant ones
    below_levels: int
    few_levels: dict[SplitName, int]  # not flat, with fewer than `below_levels` of 256 grey levels before resizing
    names: list[ImageName]  # the first of all of them


class Spread(Part):
    smallest: int
    median: float
    largest: int


class Sizes(Part):
    """In pixels, of the images as they were read."""

    width: Spread
    height: Spread
    distinct: int  # pairs of width and height


class Intensities(Part):
    """Grey levels 0 to 255 over all pixels and channels of the prepared images, padding included."""

    mean: float
    sd: float
    percentiles: dict[str, int]  # 1, 5, 50, 95, 99
    histogram: list[float]  # share of pixels in each of 64 bins of 4 grey levels


class IntensityDifference(Part):
    """Kolmogorov–Smirnov distance of the mean grey levels of the distinct images of two splits, padding left out."""

    split: SplitName
    other: SplitName
    distance: float  # largest difference of the two distribution functions, 0 to 1, all classes together
    enough: bool = True  # whether both splits have images enough for a distance to say anything
    classes: dict[str, float] = {}  # the distance within each class that has enough in both splits, largest first
    strong: bool  # of all classes together or of one


class Removal(Part):
    image: ImageName
    reason: Literal["repeat", "two labels"]
    kept: ImageName | None  # the copy that stays


class AuditResult(Part):
    dataset: str
    title: str
    source_sha256: str | None
    source: str = ""
    licence: str = ""
    accepted: list[str] = []  # how the raw dataset is not what was published, where that was accepted
    notes: list[str] = []  # of the raw dataset's card
    protocol: Protocol
    seed: int
    classes: list[str]
    before: dict[SplitName, list[int]]  # images of each class
    after: dict[SplitName, list[int]]  # the same once the protocol is applied
    exact: ExactDuplicates
    near: NearDuplicates
    groups: list[GroupCrossing]
    groups_after: int = 0  # that have images in more than one split once the protocol is applied
    flat: FlatImages
    skipped: list[str]  # broken images, with the reason
    sizes: dict[SplitName, Sizes]
    intensities: dict[SplitName, Intensities]
    intensity_differences: list[IntensityDifference]
    removals: list[Removal]


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


class NeighboursResult(Part):
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
