"""Chest CT-Scan images (Hany, on Kaggle): four classes of slices."""

from medbench.data.published import Counts, Facts, Remote

CLASSES = ("adenocarcinoma", "large.cell.carcinoma", "normal", "squamous.cell.carcinoma")
COUNTS: Counts = {
    "train": dict(zip(CLASSES, (195, 115, 148, 155), strict=True)),
    "val": dict(zip(CLASSES, (23, 21, 13, 15), strict=True)),
    "test": dict(zip(CLASSES, (120, 51, 54, 90), strict=True)),
}
PAGE = "https://www.kaggle.com/datasets/mohamedhanyyy/chest-ctscan-images"

CHEST_CT = Facts(
    name="chest_ct",
    section="{kind: chest_ct, image_size: 64, protocol: clean}",
    title="Chest CT",
    task="multi-class",
    classes=CLASSES,
    remote=Remote(
        source="chest_ct",
        file="chest-ctscan-images.zip",
        urls=("https://www.kaggle.com/api/v1/datasets/download/mohamedhanyyy/chest-ctscan-images",),
        page=PAGE,
        extract=True,
    ),
    licence="CC0, according to a third party (the publisher's own field is not confirmed)",
    citation=f"Hany, Chest CT-Scan images dataset, Kaggle, {PAGE}",
    counts=COUNTS,
    sizes="168×110 to 1200×874",
    notes=(
        "as published, 46 of 54 test and 10 of 13 validation images of class normal are pixel-identical to a training"
        " image: any score on that split is inflated (protocol: clean keeps one copy of each)",
        "the publisher gives no patients: slices of one patient may stand in several splits",
    ),
)
