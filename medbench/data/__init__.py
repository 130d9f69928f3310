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
    "medmnist": "medbench.data.medmnist:load_medmnist",
    "chest_ct": "medbench.data.chest_ct:load_chest_ct",
    "chest_xray": "medbench.data.chest_xray:load_chest_xray",
    "tongue": "medbench.data.tongue:load_tongue",
}
