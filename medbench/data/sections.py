"""What the config may say of a dataset, one section per kind, and what the stages that make it get."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, FiniteFloat, PositiveInt, StringConstraints, model_validator

from medbench.core.sections import Fraction, HubName, Name, Section, Seed, Sha256, Stage, canonical_json
from medbench.data.known.facts import ARCHIVES, MULTI_LABEL, MedMnistName, medmnist_facts
from medbench.data.published import Facts, Remote

Protocol = Literal["as_published", "clean", "resplit"]
Columns = Mapping[Literal["path", "label", "split", "group"], str | None]
# In their order; {name in the data: name to show} becomes pairs, as JSON with sorted keys would lose the order.
ClassNames = Annotated[
    list[str] | list[tuple[str, str]],
    BeforeValidator(lambda classes: _pairs(classes), json_schema_input_type=list[str] | dict[str, str]),
]
Side = Annotated[int, Field(ge=8, le=1024)]
# Centre and width of the grey values that become 0 to 255; None: what the training images hold, where these have more
# than 8 bits. Images of 8 bits stay as they are, unless a window is given.
GreyWindow = tuple[FiniteFloat, Annotated[FiniteFloat, Field(gt=0)]] | None


def _pairs(classes: Any) -> Any:
    if isinstance(classes, Mapping):
        return [(str(name), str(shown)) for name, shown in classes.items()]
    return [str(name) if isinstance(name, int) else name for name in classes] if isinstance(classes, list) else classes


class DatasetSection(Section):
    image_size: Side | None = None  # side in pixels; None: as stored (npz and medmnist only)
    channels: Literal[1, 3] | None = None  # None: as the images are
    fit: Literal["pad", "crop"] = "pad"  # how an image that is not square becomes square
    classes: ClassNames | None = None  # all of them; None: sorted by name, or the labels of an npz
    positive: str | None = None  # of two classes, the one that sensitivity is of; None: the second
    horizontal_flip: bool | None = None  # whether a mirror keeps the meaning; None: what the source says, else no
    hue_shift: bool | None = None  # whether another hue keeps the meaning; None: what the source says, else no
    # The audit's: all as it is; one copy of each distinct image and none with two labels; all pooled and drawn anew.
    protocol: Protocol = "as_published"
    train_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0  # of the training images, whole patients: another dataset
    accept: Literal["changed"] | None = None  # goes on with files that are not the published ones, and says so
    accept_licence: str | None = None  # the name of a licence that restricts the use, where the set has such a one
    title: str | None = None
    licence: str | None = None
    citation: str | None = None

    @property
    def facts(self) -> Facts | None:
        """What is known of a published set; None: it is the user's own."""
        return None

    @property
    def remote(self) -> Remote | None:
        """The file that must be fetched first."""
        return self.facts.remote if self.facts else None

    @property
    def several_labels(self) -> bool:
        """Whether an image may have more than one label, so that none can be generated or classified by it."""
        return bool(self.facts and self.facts.task == MULTI_LABEL)

    @property
    def licence_to_accept(self) -> str | None:
        """The name of a licence that restricts the use and was not accepted."""
        facts = self.facts
        return facts.licence if facts and facts.restricted and self.accept_licence != facts.licence else None


class PhantomDataset(DatasetSection):
    kind: Literal["phantom"]
    subject: Literal["ct", "xray", "tongue"]
    image_size: Side = 64
    train: PositiveInt = 200  # images per class
    val: PositiveInt = 40
    test: PositiveInt = 80


class NpzDataset(DatasetSection):
    kind: Literal["npz"]
    path: str  # a file in MedMNIST's layout
    sha256: Sha256 | None = None
    window: GreyWindow = None


class MedMnistDataset(DatasetSection):
    """A 2-D set of MedMNIST v3, downloaded."""

    kind: Literal["medmnist"]
    name: MedMnistName
    size: Literal[28, 64, 128, 224] = 28  # side in pixels, as published; image_size would resize it

    @property
    def facts(self) -> Facts:
        return medmnist_facts(self.name, self.size)


class ImageFilesDataset(DatasetSection):
    """What is read from one file per image."""

    image_size: Side
    val_fraction: Fraction = 0.1  # held out by seed where there is no such split
    test_fraction: Fraction = 0.2
    skip_broken: bool = False  # true: leave broken images out and list them in the card
    window: GreyWindow = None


class OwnFilesDataset(ImageFilesDataset):
    """A user's own files, in folders."""

    kind: str
    path: str  # root/<class>/* or root/<split>/<class>/*
    table: str | None = None  # csv, tsv or parquet with path, label and optionally split, group (a patient)
    columns: Columns = {}  # of the table, where their names are unusual; null: there is none


class FolderDataset(OwnFilesDataset):
    kind: Literal["folder"]


class DicomDataset(OwnFilesDataset):
    kind: Literal["dicom"]
    frames: Literal["one", "all"] = "one"  # one: a file of several is refused; all: each frame is an image


class NiftiDataset(OwnFilesDataset):
    kind: Literal["nifti"]
    axis: Literal[0, 1, 2] = 2  # of the patient, along which slices follow: left to right, back to front, feet to head
    slices: Literal["all", "middle"] | PositiveInt = "all"  # a number n: every n-th, from the first


class HuggingFaceDataset(ImageFilesDataset):
    """One of the Hugging Face hub, or a folder that `datasets` wrote or reads."""

    kind: Literal["huggingface"]
    path: str | None = None  # the folder, or
    name: HubName | None = None  # owner/name on the hub, at
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None = None  # the commit
    subset: str | None = None  # of a dataset that has several configurations
    columns: Mapping[Literal["image", "label", "group"], str | None] = {}  # where their names are unusual

    @model_validator(mode="after")
    def _one_place(self) -> "HuggingFaceDataset":
        if (self.path is None) == (self.name is None) or (self.name is None) != (self.revision is None):
            raise ValueError("give path, or name and revision (the 40 digits of a commit)")
        return self


class ChestCtDataset(ImageFilesDataset):
    kind: Literal["chest_ct"]

    @property
    def facts(self) -> Facts:
        return ARCHIVES["chest_ct"]


class ChestXrayDataset(ImageFilesDataset):
    kind: Literal["chest_xray"]
    publisher: Literal["kaggle", "mendeley"] = "kaggle"

    @property
    def facts(self) -> Facts:
        return ARCHIVES[f"chest_xray_{self.publisher}"]


class TongueDataset(ImageFilesDataset):
    kind: Literal["tongue"]
    publisher: Literal["tri_dhat", "tonguexpert"] = "tri_dhat"
    labels: Literal["labels_tai", "labels_zhi", "labels_fissure", "labels_tooth_mk"] | None = (
        None  # TonguExpert's column
    )

    @property
    def facts(self) -> Facts:
        return ARCHIVES[f"tonguexpert_{self.labels}" if self.labels else "tongue_tri_dhat"]

    @model_validator(mode="after")
    def _labels_are_of_the_publisher(self) -> "TongueDataset":
        if (self.publisher == "tonguexpert") != (self.labels is not None):
            raise ValueError(
                "publisher tonguexpert needs labels (labels_tai: coating colour, labels_zhi: body colour,"
                " labels_fissure, labels_tooth_mk); tri_dhat has one label and takes none"
            )
        return self


OwnDataset = NpzDataset | FolderDataset | DicomDataset | NiftiDataset
AnyDataset = Annotated[
    PhantomDataset
    | OwnDataset
    | HuggingFaceDataset
    | MedMnistDataset
    | ChestCtDataset
    | ChestXrayDataset
    | TongueDataset,
    Field(discriminator="kind"),
]


# What the stages get ---------------------------------------------------------------------------------------------


class FetchStage(Stage):
    remote: Remote
    accept_changed: bool = False


class PrepareStage(Stage):
    """Without what the audit does with the images, so that entries may differ in that alone."""

    name: Name
    dataset: AnyDataset
    seed: Seed

    def canonical(self) -> str:
        return canonical_json(self.model_dump(mode="json", exclude={"dataset": {"protocol", "train_fraction"}}))
