"""Datasets: labelled images in MedMNIST's layout, with a card. A kind is imported only when it is asked for.

Its loader takes the section and the study's seed, returns a `Source`, and raises UserError for whatever is not fetched,
not what was published, or not usable.
"""

KINDS = {
    "phantom": "medbench.data.phantoms:load_phantom",
    "npz": "medbench.data.npz:load_npz",
    "folder": "medbench.data.image_files:load_folder",
    "dicom": "medbench.data.dicom:load_dicom",
    "nifti": "medbench.data.nifti:load_nifti",
    "huggingface": "medbench.data.huggingface:load_huggingface",
    "medmnist": "medbench.data.npz:load_medmnist",
    "chest_ct": "medbench.data.known_archive:load_archive",
    "chest_xray": "medbench.data.known_archive:load_archive",
    "tongue": "medbench.data.known_archive:load_archive",
}
