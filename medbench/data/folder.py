"""A user's own image files: a folder a class, split folders above them, or a csv table."""

from pathlib import Path

from medbench.data.listing import list_folder, list_table
from medbench.data.reading import Listing, read_listing
from medbench.data.sections import FolderDataset
from medbench.data.source import Source


def load_folder(section: FolderDataset, seed: int) -> Source:
    """Reads every image once, at its final size; draws the splits that the folder or table does not have.

    Raises:
        UserError: a layout, a table or an image that cannot be used, or gray mixed with colour.
    """
    root, table = Path(section.path), Path(section.table) if section.table else None
    items, classes = list_table(root, table) if table else list_folder(root)
    listing = Listing(root, items, classes, where=str(table or section.path), table=table)
    return read_listing(section, listing, seed, f"folder {root.resolve().name}")
