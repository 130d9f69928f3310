"""DICOM files: one slice per file, shown as its VOI LUT says or in the dataset's window; one group per patient."""

import dataclasses
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medbench.core.errors import first_problem
from medbench.data.folders import key_of
from medbench.data.image_files import load_files
from medbench.data.images import ImageError, Picture, decoding, deep_image, eight_bits
from medbench.data.prepare import Source
from medbench.data.sections import DicomDataset

GRAYS = ("MONOCHROME1", "MONOCHROME2")
GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


def load_dicom(section: DicomDataset, seed: int) -> Source:
    """Reads every file, as `load_files`."""
    return load_files(section, seed, partial(decode_dicom, section=section), "DICOM", needs="pydicom")


def decode_dicom(path: Path, section: DicomDataset) -> Iterable[Picture]:
    """The pictures of a file, one per frame.

    Gray by rescale slope and intercept or modality LUT, and then by the file's VOI LUT or window, if it has one and the
    config sets none. MONOCHROME1 is inverted. The patient's id serves as a group and is written nowhere.

    Raises:
        ImageError: no DICOM, no pixels that can be decoded or understood, or frames that were not asked for.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    with decoding():
        try:
            file = dcmread(path)
        except InvalidDicomError as error:
            raise ImageError("is not DICOM") from error
        n = int(file.get("NumberOfFrames") or 1)
        _refuse(file, n, section)
        frames = file.pixel_array if n > 1 else file.pixel_array[None]
        group = key_of(str(file.get("PatientID") or "")) or None  # as a table's groups are read
        return [
            dataclasses.replace(_picture(frame, file, section), part=f" frame {k}" if n > 1 else "", group=group)
            for k, frame in enumerate(frames)
        ]


def _refuse(file: Any, frames: int, section: DicomDataset) -> None:
    if "Rows" not in file or "Columns" not in file:
        raise ImageError("holds no image (a report or another object?)")
    kind = file.PhotometricInterpretation
    colour = file.SamplesPerPixel == 3 and file.BitsAllocated == 8
    per_frame = any("PixelValueTransformationSequence" in item for key in GROUPS for item in file.get(key) or [])
    problems = {
        f"{frames} frames; set frames: all to take each, or save one per file": frames > 1 and section.frames == "one",
        f"{file.Columns} x {file.Rows} pixels, too many": file.Rows * file.Columns > (Image.MAX_IMAGE_PIXELS or np.inf),
        "values rescaled per frame (enhanced DICOM); save it as one classic file per slice": per_frame,
        f"pixels of type {kind}; save it as gray or as 8-bit RGB": not (colour or kind in GRAYS),
    }
    if problem := first_problem(problems):
        raise ImageError(f"has {problem}")


def _picture(frame: np.ndarray, file: Any, section: DicomDataset) -> Picture:
    from pydicom.pixels import apply_modality_lut

    if frame.ndim == 3:
        return Picture(Image.fromarray(frame))  # pydicom makes RGB of YBR
    negative = file.PhotometricInterpretation == "MONOCHROME1"
    remarks = ["MONOCHROME1 inverted"] if negative else []
    values = apply_modality_lut(frame, file)
    image = deep_image(values)
    shown = None if section.window else _by_its_voi(values, file)
    if shown is not None:
        remarks.append("shown as the file's own VOI LUT or window says")
    elif np.array_equal(values, frame) and file.BitsStored == 8 and frame.dtype == np.uint8:
        shown = frame
    return Picture(image if shown is None else Image.fromarray(shown), tuple(remarks), negative)


def _by_its_voi(values: np.ndarray, file: Any) -> np.ndarray | None:
    """uint8 of what the file says is to be seen, its first view; None: it does not say."""
    from pydicom.pixels import apply_voi, apply_windowing

    if file.get("VOILUTSequence"):
        bits = int(file.VOILUTSequence[0].LUTDescriptor[2])
        shown, ends = apply_voi(np.rint(values).astype(np.int64), file), (0, 2**bits - 1)
    elif file.get("WindowWidth") is not None and file.get("WindowCenter") is not None:
        with np.errstate(over="ignore"):  # of a sigmoid's tail
            low, high = apply_windowing(np.array([-1e9, 1e9]), file)
        shown, ends = apply_windowing(values, file), (low, high)
    else:
        return None
    return eight_bits(shown, ((ends[0] + ends[1]) / 2, (ends[1] - ends[0]) or 1))
