"""Tongues: public stand-ins for MedIENet's own set, which its abstract does not identify."""

from medbench.data.published import Facts, Remote

STAND_IN = "a public stand-in: the abstract of MedIENet does not identify its tongue set"

TONGUE = Facts(
    name="tongue_tri_dhat",
    section="{kind: tongue, image_size: 64}",
    title="Tongue, Tri-Dhat",
    task="multi-class",
    classes=("kapha", "pitta", "vata"),
    remote=Remote(
        source="tongue",
        file="tongue-dataset.zip",
        urls=("https://zenodo.org/records/12525502/files/tongue-dataset.zip?download=1",),
        hash="md5:a6fa5026c9ac06e833ce74e6358dd20a",
        page="https://zenodo.org/records/12525502",
        extract=True,
    ),
    licence="as stated on its page (not known here)",
    citation="Tongue image dataset for Tri-Dhat classification in traditional Thai medicine, Zenodo,"
    " doi 10.5281/zenodo.12525502",
    horizontal_flip=True,
    notes=(STAND_IN,),
)

# Labels given by hand; those of L2_Labels_Predict.txt are a model's predictions and are never used.
_LABELS: dict[str, tuple[str, dict[str, int]]] = {
    "labels_tai": ("coating colour", {"light_yellow": 162, "white": 112, "yellow": 104}),
    "labels_zhi": ("body colour", {"dark": 140, "light": 91, "regular": 108}),
    "labels_fissure": ("fissures", {"light": 306, "severe": 266}),
    "labels_tooth_mk": ("tooth marks", {"light": 430, "severe": 226}),
}
TONGUEXPERT_LABELS = {
    column: Facts(
        name=f"tonguexpert_{column}",
        section=f"{{kind: tongue, publisher: tonguexpert, labels: {column}, image_size: 64}}",
        title=f"TonguExpert, {what}",
        task="binary-class" if len(counts) == 2 else "multi-class",
        classes=tuple(counts),
        remote=Remote(
            source="tonguexpert",
            file="TonguExpertDatabase.zip",
            page="https://www.biosino.org/TonguExpert",
            extract=True,
        ),
        licence="not stated",
        citation="Li et al. 2025 (TonguExpert), doi 10.1007/s43657-024-00210-9",
        counts={"train": counts},  # published without splits
        horizontal_flip=True,
        notes=(STAND_IN,),
    )
    for column, (what, counts) in _LABELS.items()
}
