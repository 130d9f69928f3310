"""A user's own image files: a folder a class, split folders above them, or a csv table."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from medbench.data.listing import is_image, list_folder, list_table
from medbench.data.reading import Decoder, Listing, image_file, read_listing
from medbench.data.sections import FolderDataset, OwnFilesDataset
from medbench.data.source import Source
from medbench.errors import UserError


def load_folder(section: FolderDataset, seed: int) -> Source:
    """Reads every image, as `load_files`."""
    return load_files(section, seed, image_file, is_image, ".png, .jpg, .bmp, .tif, .webp or .gif")


def load_files(
    section: OwnFilesDataset,
    seed: int,
    decoder: Decoder,
    belongs: Callable[[str], bool],
    expected: str,
    needs: str = "PIL",
) -> Source:
    """Reads every file that belongs, at its final size; draws the splits that the folder or table does not have.

    Raises:
        UserError: the decoder's package is not installed, a layout, a table or an image cannot be used, or gray is
            mixed with colour.
    """
    if find_spec(needs) is None:
        raise UserError(f"this kind of dataset needs {needs}: pip install 'medbench[dicom]'")
    root, table = Path(section.path), Path(section.table) if section.table else None
    items, classes = list_table(root, table) if table else list_folder(root, belongs=belongs)
    listing = Listing(root, items, classes, where=str(table or section.path), table=table, expected=expected)
    return read_listing(section, listing, seed, f"folder {root.resolve().name}", decoder)
