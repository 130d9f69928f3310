"""Whatever Pillow opens is read right, or refused by name: every pixel type, against other decoders."""

from collections import Counter

import numpy as np

from medbench.data.images import ImageError, decode
from tests.data.pixel_files import cases, expected, same


def failure(case, path) -> str | None:
    """How what is read differs from what other decoders read; None: it does not."""
    path.write_bytes(case.data)
    try:
        picture = decode(path)
    except ImageError as error:
        return f"refused: {error}" if case.read else None
    if not case.read:
        return "read, and not refused"
    wanted, pixels = expected(case), np.asarray(picture.image)
    if picture.deep and picture.negative != (case.kind == "white"):
        return f"negative {picture.negative}"
    if picture.deep != (case.stored.dtype not in (bool, np.uint8)):
        return f"mode {picture.image.mode}"
    if wanted.ndim == 3 and pixels.ndim == 2:
        return "gray, and not colour"
    if not same(pixels, wanted, case.tolerance):
        return f"shape {pixels.shape}, not {wanted.shape}" if pixels.shape != wanted.shape else "other pixels"
    turned = any("turned upright" in remark for remark in picture.remarks)
    return None if turned == (case.orientation > 1) else "turned without a remark"


def test_every_pixel_type_is_read_as_other_decoders_read_it_or_refused(tmp_path):
    failures, counts = [], Counter()
    for case in cases():
        counts[case.name.split()[0], case.read] += 1
        wrong = failure(case, tmp_path / "a.png")
        failures += [f"{case.name}: {wrong}"] if wrong else []
    assert not failures, f"{len(failures)} of {counts.total()}:\n" + "\n".join(failures)
    assert counts.total() > 2500
    assert {form for form, read in counts if read} == {"tiff", "png", "jpeg", "webp", "gif", "bmp"}
