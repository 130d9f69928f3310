"""Which image files a folder holds, and what their names and folders say of each."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from medbench.core.errors import UserError
from medbench.data.dataset import SplitName
from medbench.data.images import SUFFIXES
from medbench.run.files import is_litter

ALIASES: dict[str, SplitName] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# Endings of image files that a folder of pictures may hold and that are not read as such.
OTHER_SUFFIXES = {".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".svg", ".psd", ".tga", ".ppm", ".pgm", ".pbm"}
OTHER_SUFFIXES |= {".exr", ".dng", ".cr2", ".nef", ".raw", ".svs", ".ndpi", ".nrrd", ".mha", ".mhd"}
OTHER_SUFFIXES |= {".dcm", ".dicom", ".ima", ".nii", ".gz", ".img", ".npy"}
NO_GROUP = {"", "na", "n/a", "nan", "none", "null"}  # as programs write an empty cell
# How image files begin, whatever their names end in: at this byte, these bytes.
BEGINNINGS = ((0, b"\x89PNG"), (0, b"\xff\xd8\xff"), (0, b"GIF8"), (0, b"II*\0"), (0, b"MM\0*"), (128, b"DICM"))
LARGEST_LOSS = 0.1  # of the image files of a dataset
# A mask lies beside its image and is named after it, as `benign (1)_mask.png`.
MASK = re.compile(r"^(.+?)[ _.-](?:mask|seg|segmentation|annotation)s?(?:[ _.-]?\d+)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    name: str  # path below the root, with forward slashes
    label: str
    split: SplitName | None = None  # None: to be drawn
    group: str | None = None  # a patient; None: a group of its own
    part: str = ""  # which image of the file, where that holds several


@dataclass(frozen=True)
class Listing:
    """Which files are to be read, and what they are."""

    root: Path
    items: list[Item]  # sorted by name
    classes: list[str]  # label k is classes[k]
    where: str  # for errors
    table: Path | None = None  # that the items were listed in, where there is one
    unread: Sequence[str] = ()  # image files that are left out, each with the reason
    notes: Sequence[str] = ()  # what a reader must know of how they were found
    hashes: Mapping[Path, str] = field(default_factory=dict)  # sha256 of files that were read to be proved
    expected: str = "image"  # which files, for errors


# Which files belong ----------------------------------------------------------------------------------------------


def is_image(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES


def is_dicom(name: str) -> bool:
    """By its ending, or as scanners name files: IM0001, or a UID, whose end are digits."""
    suffix = Path(name).suffix.lower()
    return suffix in (".dcm", ".dicom", ".ima") or suffix[1:].isdigit() or (not suffix and name[-1].isdigit())


def is_nifti(name: str) -> bool:
    return name.lower().endswith((".nii", ".nii.gz"))


Belongs = Callable[[str], bool]
BELONGS: dict[str, Belongs] = {"folder": is_image, "dicom": is_dicom, "nifti": is_nifti}  # by kind of dataset


# How classes and patients are spelled ----------------------------------------------------------------------------


def key_of(name: str) -> str:
    return " ".join(_plain(name).casefold().split())


def group_of(text: str) -> str | None:
    """A patient as a cell names it; None: it names none."""
    key = key_of(text)
    return None if key in NO_GROUP else key


def one_spelled(listing: Listing) -> Listing:
    """With the most frequent spelling of each class that differs in capitals, accents, blanks or `.0` alone; notes."""
    labels = Counter(item.label for item in listing.items)
    counts = labels + Counter(listing.classes)
    chosen: dict[str, str] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        chosen.setdefault(key_of(name), _plain(name))
    items = [replace(item, label=chosen[key_of(item.label)]) for item in listing.items]
    notes = [
        f"class {label!r} is read as {chosen[key_of(label)]!r}: {count} images"
        for label, count in sorted(labels.items())
        if unicodedata.normalize("NFC", label) != chosen[key_of(label)]
    ]
    return replace(listing, items=items, classes=sorted(set(chosen.values())), notes=[*listing.notes, *notes])


def _plain(name: str) -> str:
    """One code for an accented letter, and whole numbers without the point that a spreadsheet gives them."""
    return re.sub(r"^(-?\d+)\.0+$", r"\1", unicodedata.normalize("NFC", name))


# One folder per class --------------------------------------------------------------------------------------------


def list_folder(root: Path, beside: Collection[str] = (), belongs: Belongs = is_image) -> Listing:
    """The images of `root/<class>/*` or `root/<split>/<class>/*`, those files whose names belong.

    Folders named in `beside` may stand beside those of the splits, and are left out.

    Raises:
        UserError: no such folder, no class folder, split folders beside others or twice, or images where none belong.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder (expected one folder per class, e.g. {root / 'normal' / '*.png'})")
    items: list[Item] = []
    unread: dict[Path, str] = {}
    masks: list[Path] = []
    tops = _split_folders(root, beside)
    classes = [(split, folder) for split, top in tops for folder in _class_folders(top)]
    for folder in {root, *(top for _, top in tops)}:
        unread |= {path: reason or "lies in no class folder" for path, reason in images_in(folder, belongs)[0].items()}
    for split, folder in classes:
        files, masks_here = images_in(folder, belongs)
        names = [path.relative_to(root).as_posix() for path, reason in files.items() if not reason]
        items += [Item(name, folder.name, split) for name in names]
        unread |= {path: reason for path, reason in files.items() if reason}
        masks += masks_here
    return Listing(
        root,
        items,
        sorted({folder.name for _, folder in classes}),
        where=str(root),
        unread=[f"{path.relative_to(root).as_posix()}: {reason}" for path, reason in sorted(unread.items())],
        notes=counted(root, masks, "masks beside their images are not read"),
    )


def _split_folders(root: Path, beside: Collection[str]) -> list[tuple[SplitName | None, Path]]:
    """The folders of `root` that are named after splits, or else `root` itself with its split open."""
    folders = _folders(root)
    splits = [(ALIASES[path.name.lower()], path) for path in folders if path.name.lower() in ALIASES]
    if not splits:
        return [(None, root)]
    others = [path.name for path in folders if path.name.lower() not in ALIASES and path.name not in beside]
    if others:
        raise UserError(f"{root}: has split folders and {others[0]!r} beside them; keep only train, val and test there")
    names = [split for split, _ in splits]
    repeated = [path.name for split, path in splits if names.count(split) > 1]
    if repeated:
        raise UserError(f"{root}: {' and '.join(repeated)} are the same split; merge them")
    return list(splits)


def _class_folders(folder: Path) -> list[Path]:
    folders = _folders(folder)
    if not folders:
        raise UserError(f"{folder}: has no class folder (expected e.g. {folder / 'normal' / '*.png'})")
    for class_folder in folders:
        for inner in _folders(class_folder):
            raise UserError(
                f"{class_folder}: has the folder {inner.name!r} inside a class; put the images directly into class"
                " folders, set path to the level above the classes, or list the images in a table"
            )
    return folders


def images_in(folder: Path, belongs: Belongs) -> tuple[dict[Path, str | None], list[Path]]:
    """The image files in a folder, with the reason where nothing here reads one, and the masks of those that are."""
    files: dict[Path, str | None] = {}
    for path in _visible(folder):
        if belongs(path.name) and path.is_file():
            files[path] = None
        elif not path.is_dir() and (reason := _why_unread(path)):
            files[path] = reason
    stems = {_stem(path) for path, reason in files.items() if not reason}
    masks = [path for path in files if (mask := MASK.match(_stem(path))) and mask[1] in stems]
    return {path: reason for path, reason in files.items() if path not in masks}, masks


def _stem(path: Path) -> str:
    """Without the ending, which is of two parts in a.nii.gz."""
    return Path(re.sub(r"\.gz$", "", path.name, flags=re.IGNORECASE)).stem


def _why_unread(path: Path) -> str | None:
    """None: it is no image."""
    if not path.exists():
        return "is a link to nothing"
    if not path.is_file():
        return None
    if path.suffix.lower() in OTHER_SUFFIXES | SUFFIXES:
        kind = next((kind for kind, belongs in BELONGS.items() if belongs(path.name)), None)
        return f"{path.suffix} files are not read{f' by this kind of dataset; kind: {kind} does' if kind else ''}"
    try:
        with open(path, "rb") as file:
            start = file.read(132)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if any(start[place:].startswith(mark) for place, mark in BEGINNINGS):
        return f"is an image file whose name ends in none of {', '.join(sorted(SUFFIXES))}"
    return None


def require_most_read(where: str, unread: Sequence[str], n_read: int) -> None:
    """Raises UserError where more than a tenth of all image files would be left out."""
    if unread and len(unread) > LARGEST_LOSS * (len(unread) + n_read):
        more = f" (and {len(unread) - 1} more)" if len(unread) > 1 else ""
        raise UserError(
            f"{where}: {len(unread)} of {len(unread) + n_read} image files would be left out: {unread[0]}{more}; mend"
            " or convert them, or take them out of the folder"
        )


def counted(root: Path, paths: Collection[Path], what: str) -> list[str]:
    """A note that names the first three."""
    names = [path.relative_to(root).as_posix() for path in sorted(paths)]
    return [f"{len(names)} {what}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"] if names else []


def _folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _visible(folder: Path) -> list[Path]:
    """Sorted by name, so that nothing depends on the file system; without hidden files and litter."""
    try:
        paths = [path for path in folder.iterdir() if not path.name.startswith(".") and not is_litter(path.name)]
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed: {error.strerror}") from error
    return sorted(paths, key=lambda path: path.name)
