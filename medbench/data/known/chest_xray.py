"""Chest X-Ray Images (Pneumonia) (Kermany et al. 2018), from Kaggle or from Mendeley Data."""

from medbench.data.published import Counts, Facts, Remote

CLASSES = ("NORMAL", "PNEUMONIA")
PUBLISHERS = ("kaggle", "mendeley")
CITATION = "Kermany et al. 2018, doi 10.1016/j.cell.2018.02.010; data: doi 10.17632/rscbjbr9sj.2"
NOTES = (
    "patients are known by the names of the files alone (person1, IM-0115, NORMAL2-IM-1427)",
    "the 16 validation images of the published split cannot choose a model: they join train, and whole patients of it"
    " are held out as val",
    "170 of the 202 numbers of persons with pneumonia in test stand in train too; whether they are the same people is"
    " not known",
)


def _counts(train: tuple[int, int], val: tuple[int, int] | None) -> Counts:
    counts: Counts = {"train": dict(zip(CLASSES, train, strict=True))}
    if val:
        counts["val"] = dict(zip(CLASSES, val, strict=True))
    return counts | {"test": dict(zip(CLASSES, (234, 390), strict=True))}


def _facts(publisher: str, remote: Remote, counts: Counts) -> Facts:
    return Facts(
        name=f"chest_xray_{publisher}",
        section=f"{{kind: chest_xray, publisher: {publisher}, image_size: 64}}",
        title="Chest X-ray",
        task="binary-class",
        classes=CLASSES,
        remote=remote,
        licence="CC BY 4.0",
        citation=CITATION,
        counts=counts,
        notes=(*NOTES, f"the same images are published twice: publisher: {' or '.join(PUBLISHERS)}"),
    )


CHEST_XRAY = {
    "kaggle": _facts(
        "kaggle",
        Remote(
            source="chest_xray",
            file="chest-xray-pneumonia.zip",
            urls=(
                "https://www.kaggle.com/api/v1/datasets/download/paultimothymooney/chest-xray-pneumonia"
                "?datasetVersionNumber=2",
            ),
            hash="sha256:f569fe885b0f921e836f3d6bcc8d7b3442f5e0ca4db4533d06b8cf25d2114ea1",
            page="https://www.kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia",
            extract=True,
        ),
        _counts((1341, 3875), (8, 8)),
    ),
    "mendeley": _facts(
        "mendeley",
        Remote(
            source="chest_xray",
            file="ChestXRay2017.zip",
            urls=(
                "https://data.mendeley.com/public-files/datasets/rscbjbr9sj/files/"
                "f12eaf6d-6023-432f-acc9-80c9d7393433/file_downloaded",
            ),
            size=1_235_512_464,
            page="https://data.mendeley.com/datasets/rscbjbr9sj/2",
            extract=True,
        ),
        _counts((1349, 3883), None),
    ),
}
