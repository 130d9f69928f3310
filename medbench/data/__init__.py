"""Datasets: labelled images in MedMNIST's layout, with a card. A kind is imported only when it is asked for."""

KINDS = {
    "phantom": "medbench.data.phantom:load_phantom",
    "npz": "medbench.data.npz:load_npz",
    "folder": "medbench.data.folder:load_folder",
}
