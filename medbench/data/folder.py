"""A user's own image files: one folder per class, split folders above them, or a table."""

from importlib.util import find_spec
from pathlib import Path

from medbench.core.errors import UserError
from medbench.data.listing import listed
from medbench.data.reading import Decoder, Listing, image_file, read_listing
from medbench.data.sections import FolderDataset, OwnFilesDataset
from medbench.data.source import Source


def load_folder(section: FolderDataset, seed: int) -> Source:
    """Reads every image, as `load_files`."""
    return load_files(section, seed, image_file, ".png, .jpg, .bmp, .tif, .webp or .gif")


def load_files(section: OwnFilesDataset, seed: int, decoder: Decoder, expected: str, needs: str = "PIL") -> Source:
    """Reads every file that belongs, at its final size; draws the splits that the folder or table does not have.

    Raises:
        UserError: the decoder's package is not installed, a layout, a table or an image cannot be used, or gray is
            mixed with colour.
    """
    if find_spec(needs) is None:
        raise UserError(f"this kind of dataset needs {needs}: pip install 'medbench[dicom]'")
    root, table = Path(section.path), Path(section.table) if section.table else None
    found = listed(section)
    where, notes, unread = str(table or section.path), tuple(found.notes), tuple(found.unread)
    listing = Listing(root, found.items, found.classes, where, table, notes, unread=unread, expected=expected)
    return read_listing(section, listing, seed, f"folder {root.resolve().name}", decoder)
