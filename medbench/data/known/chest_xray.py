"""Chest X-Ray Images (Pneumonia) (Kermany et al. 2018), from Kaggle or from Mendeley Data."""

from dataclasses import replace

from medbench.data.published import Facts, Remote

CLASSES = ("NORMAL", "PNEUMONIA")

_KAGGLE = Facts(
    name="chest_xray_kaggle",
    section="{kind: chest_xray, publisher: kaggle, image_size: 64}",
    title="Chest X-ray",
    task="binary-class",
    classes=CLASSES,
    remote=Remote(
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
    licence="CC BY 4.0",
    citation="Kermany et al. 2018, doi 10.1016/j.cell.2018.02.010; data: doi 10.17632/rscbjbr9sj.2",
    counts={
        "train": {"NORMAL": 1341, "PNEUMONIA": 3875},
        "val": {"NORMAL": 8, "PNEUMONIA": 8},
        "test": {"NORMAL": 234, "PNEUMONIA": 390},
    },
    notes=(
        "patients are known by the names of the files alone (person1, IM-0115, NORMAL2-IM-1427)",
        "the 16 validation images of the published split cannot choose a model: they join train, and whole patients of"
        " it are held out as val",
        "170 of the 202 numbers of persons with pneumonia in test stand in train too; whether they are the same people"
        " is not known",
        "the same images are published twice: publisher: kaggle or mendeley",
    ),
)
CHEST_XRAY = {
    "kaggle": _KAGGLE,
    "mendeley": replace(
        _KAGGLE,
        name="chest_xray_mendeley",
        section="{kind: chest_xray, publisher: mendeley, image_size: 64}",
        remote=Remote(
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
        counts={"train": {"NORMAL": 1349, "PNEUMONIA": 3883}, "test": {"NORMAL": 234, "PNEUMONIA": 390}},
    ),
}
