"""NIfTI volumes, one per patient, cut into slices."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from medbench.data.image_files import load_files
from medbench.data.images import ImageError, Picture, decoding, deep_image
from medbench.data.prepare import Source
from medbench.data.sections import NiftiDataset

MOST_VOXELS = 2**30  # 4 GB of floats


def load_nifti(section: NiftiDataset, seed: int) -> Source:
    """Reads every volume, as `load_files`."""
    return load_files(section, seed, partial(decode_nifti, section=section), ".nii.gz", needs="nibabel")


def decode_nifti(path: Path, section: NiftiDataset) -> Iterable[Picture]:
    """Slices along an axis of the patient (0 left to right, 1 back to front, 2 feet to head), numbered in that order.

    The volume is turned to the axes of the patient (RAS+, as nibabel's as_closest_canonical does). Slices look as in a
    viewer: the head or the front is up, the patient's right or front is on the left.

    Raises:
        ImageError: no NIfTI, damaged, or not one volume of real numbers.
    """
    import nibabel

    with decoding():
        stored = nibabel.load(path)
        if not isinstance(stored, nibabel.Nifti1Image):
            raise ImageError("is not NIfTI")
        _refuse(stored.shape, stored.get_data_dtype())
        scaled = stored.get_data_dtype() != np.uint8 or (stored.dataobj.slope, stored.dataobj.inter) != (1, 0)
        values = stored.get_fdata(dtype=np.float32, caching="unchanged") if scaled else np.asanyarray(stored.dataobj)
        axes = nibabel.io_orientation(stored.affine)
        values = nibabel.apply_orientation(values.reshape(values.shape[:3]), axes)
        sides = np.array(stored.header.get_zooms()[:3])[np.argsort(axes[:, 0])]
        oriented = bool(stored.header["sform_code"] or stored.header["qform_code"])
    if not np.isfinite(values).all():
        raise ImageError("has grey values that are not finite (NaN or infinite)")
    return _slices(values, section, _remarks(np.delete(sides, section.axis), oriented), str(path))


def _refuse(shape: tuple[int, ...], dtype: np.dtype) -> None:
    voxels = " x ".join(map(str, shape))
    if len(shape) < 3 or np.prod(shape[3:]) != 1:
        raise ImageError(f"has {voxels} voxels; save one volume of three dimensions per file")
    if np.prod(shape, dtype=float) > MOST_VOXELS or dtype.kind not in "iuf":
        raise ImageError(f"has {voxels} voxels of type {dtype}: too many, or no real numbers")


def _remarks(sides: np.ndarray, oriented: bool) -> tuple[str, ...]:
    """Args: the sides of a pixel in mm, and whether the header knows how the patient lay."""
    remarks = {
        "slices of volumes turned to the patient's axes (RAS+)": oriented,
        "slices of volumes whose header states no orientation": not oriented,
        "pixels that are not square, shown as if they were": sides.max() > 1.01 * sides.min(),
    }
    return tuple(remark for remark, holds in remarks.items() if holds)


def _slices(values: np.ndarray, section: NiftiDataset, remarks: tuple[str, ...], group: str) -> Iterable[Picture]:
    planes = np.moveaxis(values, section.axis, 0)
    depth = len(planes)
    every = 1 if isinstance(section.slices, str) else section.slices
    for number in [depth // 2] if section.slices == "middle" else range(0, depth, every):
        pixels = np.ascontiguousarray(planes[number][::-1, ::-1].T)
        image = Image.fromarray(pixels) if pixels.dtype == np.uint8 else deep_image(pixels)
        yield Picture(image, remarks, part=f" slice {number}", group=group)
