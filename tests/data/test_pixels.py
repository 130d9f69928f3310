"""Whatever Pillow opens is read right, or refused by name: small files of every pixel type, against other decoders.

What a file holds is known from what was written, and read again by a decoder that is not Pillow where there is one:
tifffile for TIFF, torchvision for PNG, JPEG, WebP and GIF.
"""

import io
import itertools
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_gif, decode_jpeg, decode_png, decode_webp

from medbench.data.images import ImageError, decode

HEIGHT, WIDTH = 7, 11
ORIENTATIONS = range(1, 9)
RNG = np.random.RandomState(0)
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


class Case(NamedTuple):
    name: str
    data: bytes
    stored: np.ndarray  # (H, W) or (H, W, channels), as another decoder reads it
    kind: str = "gray"  # or white (0 is white), la, rgb, rgba, cmyk
    orientation: int = 1
    read: bool = True  # whether it is read, or else refused
    tolerance: int = 0  # grey levels


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """By the table of Exif 2.3: where the stored row 0 and column 0 are."""
    turned = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    down, right = ((1, 1), (1, -1), (-1, -1), (-1, 1))[(orientation - 1) % 4]
    return turned[::down, ::right]


def expected(case: Case) -> np.ndarray:
    """As documented: bright is high, alpha over black, CMYK by the product of its inks; deep grays as they are."""
    pixels = upright(case.stored, case.orientation)
    if pixels.dtype == bool:
        pixels = pixels * np.uint8(255)
    if pixels.dtype != np.uint8:
        return pixels
    if case.kind == "white":
        return 255 - pixels
    if case.kind in ("la", "rgba"):
        shown = pixels[..., :-1] * (pixels[..., -1:] / 255)
        return (shown[..., 0] if case.kind == "la" else shown).round()
    if case.kind == "cmyk":
        return ((255 - pixels[..., :3]) * ((255 - pixels[..., 3:]) / 255)).round()
    return pixels


def same(one: np.ndarray, other: np.ndarray, tolerance: int) -> bool:
    return one.shape == other.shape and bool((np.abs(one.astype(float) - other.astype(float)) <= tolerance).all())


# TIFF -----------------------------------------------------------------------------------------------------------

CHANNELS = {"gray": 0, "white": 0, "la": 2, "rgb": 3, "rgba": 4, "cmyk": 4}
PHOTOMETRIC = {"gray": "minisblack", "white": "miniswhite", "la": "minisblack", "cmyk": "separated"}
LAYOUTS = {"strip": {}, "strips": {"rowsperstrip": 2}, "tile": {"tile": (16, 16)}, "planar": {}}
TYPES = ("bool", "u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8")


def some(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    if dtype == "bool":
        return RNG.randint(0, 2, shape).astype(bool)
    if dtype[0] == "f":
        return (RNG.rand(*shape) * 1000 - 200).astype(dtype)
    limits = np.iinfo(dtype)
    return RNG.randint(limits.min, min(limits.max, 2**31 - 1), shape, dtype=np.int64).astype(dtype)


def tiffs() -> Iterator[Case]:
    turns = itertools.cycle(ORIENTATIONS)
    for dtype, kind, order, packed, layout, predictor in itertools.product(
        TYPES, CHANNELS, "<>", (None, "zlib", "lzma"), LAYOUTS, (False, True)
    ):
        if layout == "planar" and not CHANNELS[kind]:
            continue  # one plane is the same as none
        if dtype == "bool" and (CHANNELS[kind] or predictor):
            continue  # tifffile writes no such file
        if predictor and (packed != "zlib" or dtype[0] == "f"):
            continue  # nobody predicts what is not deflated; floats are among libtiff's
        if packed == "lzma" and (order, layout) != ("<", "strip"):
            continue  # libtiff unpacks it as it does zlib's
        read = tiff_is_read(dtype, kind, order, packed, layout)
        stored = some(dtype, (HEIGHT, WIDTH) + ((CHANNELS[kind],) if CHANNELS[kind] else ()))
        name = f"tiff {dtype} {kind} {order} {packed} {layout} {'predictor' if predictor else ''}"
        # Pillow may map strips that are not packed into memory, and then turns them by a code of its own.
        for orientation in ORIENTATIONS if read and (packed, layout) == (None, "strip") else [next(turns)]:
            data = tiff(stored, kind, order, packed, layout, predictor, orientation)
            yield Case(f"{name} {orientation}", data, stored, kind, orientation, read, kind in ("la", "rgba", "cmyk"))


def tiff_is_read(dtype: str, kind: str, order: str, packed: str | None, layout: str) -> bool:
    """The others are refused."""
    swapped = order == ">" and packed is not None
    return {
        "bool": True,
        "u1": (kind, layout) != ("la", "planar"),
        "u2": kind == "gray" or (kind == "white" and order == "<"),
        "i2": kind == "gray" and not swapped,
        "u4": kind == "gray" and order == "<",
        "i4": kind == "gray" and not swapped,
        "f4": kind in ("gray", "white") and not swapped,
    }.get(dtype, False)


def tiff(stored, kind, order, packed, layout, predictor, orientation) -> bytes:
    planes = {"planarconfig": "separate" if layout == "planar" else "contig"} if stored.ndim == 3 else {}
    pixels = np.moveaxis(stored, -1, 0) if layout == "planar" else stored
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        pixels,
        photometric=PHOTOMETRIC.get(kind, "rgb"),
        byteorder=order,
        compression=packed,
        predictor=predictor or None,
        extrasamples=["unassalpha"] if kind in ("la", "rgba") else None,
        extratags=[(274, 3, 1, orientation, True)],
        metadata=None,
        **planes,
        **LAYOUTS[layout],
    )
    file.seek(0)
    np.testing.assert_array_equal(tifffile.imread(file), pixels)
    return file.getvalue()


def packed_tiffs() -> Iterator[Case]:
    """1 to 12 bits per pixel, and palettes, in strips without padding between pixels."""
    turns = itertools.cycle(ORIENTATIONS)
    for bits, order, white, fill in itertools.product((1, 2, 4, 8, 12), "<>", (False, True), (1, 2)):
        values = RNG.randint(0, 2**bits, (HEIGHT, WIDTH))
        stored = values.astype(np.uint16) if bits == 12 else (values * 255 // (2**bits - 1)).astype(np.uint8)
        # Of 12 bits Pillow knows one spelling.
        read = (order, white, fill) == ("<", False, 1) if bits == 12 else (bits, white, fill) != (8, True, 2)
        name = f"tiff {bits} bits {order} {'white' if white else 'black'} fill order {fill}"
        for orientation in ORIENTATIONS if read else [next(turns)]:
            tags = {262: 0 if white else 1, 266: fill, 274: orientation}
            data = plain_tiff(packed_bits(values, bits), bits, order, tags)
            yield Case(f"{name} {orientation}", data, stored, "white" if white else "gray", orientation, read)
    for bits, order, gray in itertools.product((1, 2, 4, 8), "<>", (False, True)):
        values = RNG.randint(0, 2**bits, (HEIGHT, WIDTH))
        palette = RNG.randint(0, 256, (2**bits, 3)).astype(np.uint8)
        palette[:, 1:] = palette[:, :1] if gray else palette[:, 1:]
        stored = palette[values][..., 0] if gray else palette[values]
        for orientation in ORIENTATIONS:
            tags = {262: 3, 274: orientation, 320: (palette.T.astype(int) * 257).ravel().tolist()}
            data = plain_tiff(packed_bits(values, bits), bits, order, tags)
            name = f"tiff palette of {bits} bits {order} gray {gray} {orientation}"
            yield Case(name, data, stored, "rgb", orientation)


def packed_bits(values: np.ndarray, bits: int) -> bytes:
    """Rows of values, each row filled up to a whole byte."""
    places = np.arange(bits - 1, -1, -1)
    return np.packbits(((values[..., None] >> places) & 1).reshape(len(values), -1), axis=1).tobytes()


def plain_tiff(rows: bytes, bits: int, order: str, tags: dict[int, int | list[int]]) -> bytes:
    if tags.get(266) == 2:
        rows = bytes(int(f"{byte:08b}"[::-1], 2) for byte in rows)
    tags = {256: WIDTH, 257: HEIGHT, 258: bits, 259: 1, 273: 8, 277: 1, 278: HEIGHT, 279: len(rows), **tags}
    behind = 8 + len(rows)
    entries, long_values = b"", b""
    for tag, value in sorted(tags.items()):
        if isinstance(value, list):
            entries += struct.pack(f"{order}HHII", tag, 3, len(value), behind + len(long_values))
            long_values += struct.pack(f"{order}{len(value)}H", *value)
        else:
            entries += struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", behind + len(long_values))
    return start + rows + long_values + directory


def libtiffs() -> Iterator[Case]:
    """Compressions that libtiff writes through Pillow; what they hold is what was written."""
    for mode, packing, orientation in itertools.product(
        ("1", "L", "LA", "RGB", "RGBA", "CMYK", "I;16", "I", "F"),
        ("tiff_lzw", "packbits", "tiff_adobe_deflate", "group3", "group4"),
        ORIENTATIONS,
    ):
        if packing in ("group3", "group4") and mode != "1":
            continue  # for fax
        stored, kind = of_mode(mode)
        data = saved(image(stored, mode), "TIFF", compression=packing, tiffinfo={274: orientation})
        tolerance = int(mode in ("LA", "RGBA", "CMYK"))
        yield Case(f"tiff {mode} {packing} {orientation}", data, stored, kind, orientation, tolerance=tolerance)
    predictors = {"L": 2, "RGB": 2, "I;16": 2, "F": 3}
    for (mode, predictor), orientation in itertools.product(predictors.items(), ORIENTATIONS):
        stored, kind = of_mode(mode)
        tags = {274: orientation, 317: predictor}
        data = saved(Image.fromarray(stored), "TIFF", compression="tiff_lzw", tiffinfo=tags)
        yield Case(f"tiff {mode} predictor {predictor} {orientation}", data, stored, kind, orientation)
    for mode, orientation in itertools.product(("L", "RGB", "CMYK"), ORIENTATIONS):
        stored = smooth(mode)
        tags = {"compression": "jpeg", "quality": 100, "tiffinfo": {274: orientation}}
        data = saved(image(stored, mode), "TIFF", **tags)
        yield Case(f"tiff {mode} jpeg {orientation}", data, stored, of_mode(mode)[1], orientation, tolerance=8)


def of_mode(mode: str) -> tuple[np.ndarray, str]:
    dtype = {"1": "bool", "I;16": "u2", "I": "i4", "F": "f4"}.get(mode, "u1")
    kind = mode.lower() if mode.lower() in CHANNELS else "gray"
    return some(dtype, (HEIGHT, WIDTH) + ((CHANNELS[kind],) if CHANNELS[kind] else ())), kind


def smooth(mode: str) -> np.ndarray:
    """What JPEG hardly changes."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    channels = [60 + 9 * x + y, 200 - 8 * x, 90 + 9 * y, 30 + 3 * y + 2 * x]
    n = CHANNELS.get(mode.lower(), 1)
    return np.stack(channels[:n], axis=-1).astype(np.uint8) if n > 1 else channels[0].astype(np.uint8)


def image(stored: np.ndarray, mode: str) -> Image.Image:
    return Image.fromarray(stored, mode if mode == "CMYK" else None)


def saved(picture: Image.Image, form: str, **how) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **how)
    return file.getvalue()


# PNG ------------------------------------------------------------------------------------------------------------

COLOURS = {"gray": 0, "rgb": 2, "palette": 3, "la": 4, "rgba": 6}


def pngs() -> Iterator[Case]:
    for kind, bits, woven, transparent in itertools.product(COLOURS, (1, 2, 4, 8, 16), (False, True), (False, True)):
        if (bits < 8 and kind not in ("gray", "palette")) or (bits, kind) == (16, "palette"):
            continue  # there is no such PNG
        if transparent and kind in ("la", "rgba"):
            continue  # it has its alpha in each pixel
        for orientation in ORIENTATIONS:
            yield png_case(kind, bits, woven, transparent, orientation)


def png_case(kind: str, bits: int, woven: bool, transparent: bool, orientation: int) -> Case:
    n = {"palette": 1, "gray": 1}.get(kind) or CHANNELS[kind]
    values = RNG.randint(0, 2**bits, (HEIGHT, WIDTH, n))
    chunks = {b"eXIf": exif(orientation)}
    alpha = None
    if kind == "palette":
        palette = RNG.randint(0, 256, (2**bits, 4)).astype(np.uint8)
        chunks[b"PLTE"] = palette[:, :3].tobytes()
        chunks |= {b"tRNS": palette[:, 3].tobytes()} if transparent else {}
        stored, alpha = palette[values[..., 0]][..., :3], palette[values[..., 0]][..., 3:]
    else:
        chunks |= {b"tRNS": values[3, 5].astype(">u2").tobytes()} if transparent else {}
        alpha = (values != values[3, 5]).any(-1, keepdims=True) * np.uint8(255)
        stored = values.astype(np.uint16) if bits == 16 else (values * 255 // (2**bits - 1)).astype(np.uint8)
    data = png(values, COLOURS[kind], bits, woven, chunks)
    mode = ImageReadMode.RGB if kind == "palette" else ImageReadMode.UNCHANGED
    if not transparent:
        np.testing.assert_array_equal(decode_png(tensor(data), mode).permute(1, 2, 0).numpy(), stored)
    held = {"palette": "rgb"}.get(kind, kind)
    if transparent:
        held, stored = ("la" if kind == "gray" else "rgba"), np.concatenate([stored, alpha], axis=-1)
    name = f"png {kind} {bits} bits woven {woven} transparent {transparent} {orientation}"
    plain = stored[..., 0] if stored.shape[-1] == 1 else stored
    # Transparent gray of 8 bits and black and white are read, of others and of 16 bits gray alone.
    read = (bits in (1, 8) if transparent else True) if kind == "gray" else bits < 16
    return Case(name, data, plain, held, orientation, read, int(transparent))


def tensor(data: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def png(values: np.ndarray, colour: int, bits: int, woven: bool, chunks: dict[bytes, bytes]) -> bytes:
    passes = [values[y::down, x::right] for y, x, down, right in ADAM7] if woven else [values]
    rows = b"".join(b"\0" + packed_bits(row.reshape(1, -1), bits) for part in passes if part.size for row in part)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, colour, 0, 0, woven)
    order = sorted(chunks, key=[b"PLTE", b"tRNS", b"eXIf"].index)
    parts = {b"IHDR": header, **{name: chunks[name] for name in order}, b"IDAT": zlib.compress(rows), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts.items()
    )


def exif(orientation: int) -> bytes:
    return b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 274, 3, 1, orientation, 0, 0)


# JPEG, WebP, GIF, BMP -------------------------------------------------------------------------------------------


def jpegs() -> Iterator[Case]:
    ways = {"baseline": {}, "progressive": {"progressive": True}, "4:4:4": {"subsampling": 0}}
    ways |= {"RGB": {"keep_rgb": True}}
    for mode, (way, how), orientation in itertools.product(("L", "RGB", "CMYK"), ways.items(), ORIENTATIONS):
        stored, kind = of_mode(mode)
        data = saved(image(stored, mode), "JPEG", exif=b"Exif\0\0" + exif(orientation), **how)
        yield jpeg_case(f"jpeg {mode} {way} {orientation}", data, kind, orientation)
    adobe = data.index(b"\xff\xee")
    for transform in (0, 2):  # CMYK, and as Photoshop writes it
        marked = data[: adobe + 15] + bytes([transform]) + data[adobe + 16 :]
        yield jpeg_case(f"jpeg Adobe {transform}", marked, "cmyk", 8)
    unmarked = data[:adobe] + data[adobe + 16 :]
    yield jpeg_case("jpeg CMYK without Adobe", unmarked, "cmyk", 8)._replace(read=False)


def jpeg_case(name: str, data: bytes, kind: str, orientation: int) -> Case:
    stored = decode_jpeg(tensor(data), ImageReadMode.UNCHANGED).permute(1, 2, 0).numpy()
    if kind == "cmyk":  # Adobe's are inverted
        stored = 255 - stored
    return Case(name, data, stored[..., 0] if kind == "gray" else stored, kind, orientation, True, 1)


def webps() -> Iterator[Case]:
    for mode, lossless, orientation in itertools.product(("RGB", "RGBA"), (False, True), ORIENTATIONS):
        stored, kind = of_mode(mode)
        data = saved(Image.fromarray(stored), "WEBP", lossless=lossless, exact=True, exif=exif(orientation))
        stored = decode_webp(tensor(data), ImageReadMode.UNCHANGED).permute(1, 2, 0).numpy()
        yield Case(f"webp {mode} lossless {lossless} {orientation}", data, stored, kind, orientation, True, 1)


def gifs() -> Iterator[Case]:
    for colours, woven in itertools.product((2, 16, 200), (False, True)):
        picture = Image.fromarray(some("u1", (HEIGHT, WIDTH, 3))).quantize(colours)
        data = saved(picture, "GIF", interlace=woven)
        yield Case(f"gif {colours} woven {woven}", data, decode_gif(tensor(data)).permute(1, 2, 0).numpy(), "rgb")
    gray = some("u1", (HEIGHT, WIDTH))
    yield Case("gif gray", saved(Image.fromarray(gray), "GIF"), gray)
    hole = np.stack([gray, (gray != gray[2, 3]) * np.uint8(255)], axis=-1)
    yield Case("gif transparent", saved(Image.fromarray(gray), "GIF", transparency=int(gray[2, 3])), hole, "la")


def animations() -> Iterator[Case]:
    frames = [Image.fromarray(some("u1", (HEIGHT, WIDTH, 3))) for _ in range(3)]
    for form in ("GIF", "PNG", "WEBP", "TIFF"):
        data = saved(frames[0], form, save_all=True, append_images=frames[1:])
        yield Case(f"three frames {form}", data, np.asarray(frames[0]), "rgb", read=False)


def bmps() -> Iterator[Case]:
    for bits, gray, down in itertools.product((1, 4, 8), (False, True), (False, True)):
        values = RNG.randint(0, 2**bits, (HEIGHT, WIDTH))
        palette = RNG.randint(0, 256, (2**bits, 3)).astype(np.uint8)
        palette[:, 1:] = palette[:, :1] if gray else palette[:, 1:]
        table = np.pad(palette[:, ::-1], ((0, 0), (0, 1))).tobytes()
        stored = palette[values][..., 0] if gray else palette[values]
        rows = [packed_bits(row[None], bits) for row in values]
        yield Case(f"bmp {bits} bits gray {gray} down {down}", bmp(rows, bits, down, table), stored, "rgb")
    for down in (False, True):
        colours = some("u1", (HEIGHT, WIDTH, 4))
        blue_first = colours[..., [2, 1, 0, 3]]
        rows = [row[:, :3].tobytes() for row in blue_first]
        yield Case(f"bmp 24 bits down {down}", bmp(rows, 24, down), colours[..., :3], "rgb")
        rows = [row.tobytes() for row in blue_first]
        yield Case(f"bmp 32 bits down {down}", bmp(rows, 32, down), colours[..., :3], "rgb")
        values = RNG.randint(0, 2**15, (HEIGHT, WIDTH))
        fifths = np.stack([values >> 10, values >> 5 & 31, values & 31], axis=-1)
        rows = [row.astype("<u2").tobytes() for row in values]
        stored = (fifths * 255 // 31).astype(np.uint8)
        yield Case(f"bmp 15 bits down {down}", bmp(rows, 16, down), stored, "rgb", tolerance=1)


def bmp(rows: list[bytes], bits: int, down: bool, table: bytes = b"") -> bytes:
    body = b"".join(row + bytes(-len(row) % 4) for row in (rows if down else rows[::-1]))
    start = 54 + len(table)
    height = -HEIGHT if down else HEIGHT
    fields = b"BM", start + len(body), 0, 0, start, 40, WIDTH, height, 1, bits, *([0] * 6)
    return struct.pack("<2sIHHIIiiHHIIiiII", *fields) + table + body


def cases() -> Iterator[Case]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tifffile's, of types that are rare
        for make in (tiffs, packed_tiffs, libtiffs, pngs, jpegs, webps, gifs, animations, bmps):
            yield from make()


# What is read of them -------------------------------------------------------------------------------------------


def failure(case: Case, path: Path) -> str | None:
    """How what is read differs from what other decoders read; None: it does not."""
    path.unlink(missing_ok=True)  # a file that is written over is flushed to the disk first
    path.write_bytes(case.data)
    try:
        picture = decode(path)
    except ImageError as error:
        return f"refused: {error}" if case.read else None
    if not case.read:
        return "read, and not refused"
    shown, pixels = expected(case), np.asarray(picture.image)
    if picture.deep and picture.negative != (case.kind == "white"):
        return f"negative {picture.negative}"
    if picture.deep != (case.stored.dtype not in (bool, np.uint8)):
        return f"mode {picture.image.mode}"
    if shown.ndim == 3 and pixels.ndim == 2:
        return "gray, and not colour"
    if not same(pixels, shown, case.tolerance):
        return f"shape {pixels.shape}, not {shown.shape}" if pixels.shape != shown.shape else "other pixels"
    remarks = ["turned upright by its orientation"] if case.orientation > 1 else []
    clear = case.kind in ("la", "rgba") and (case.stored[..., -1] < 255).any()
    remarks += ["transparency composited over black"] if clear else []
    return None if picture.remarks == tuple(remarks) else f"remarks {picture.remarks}"


def test_every_pixel_type_is_read_as_other_decoders_read_it_or_refused(tmp_path):
    failures, counts = [], Counter()
    for case in cases():
        counts[case.name.split()[0], case.read] += 1
        problem = failure(case, tmp_path / "a.png")
        failures += [f"{case.name}: {problem}"] if problem else []
    assert not failures, f"{len(failures)} of {counts.total()}:\n" + "\n".join(failures)
    assert counts.total() > 2500
    assert {form for form, read in counts if read} == {"tiff", "png", "jpeg", "webp", "gif", "bmp"}
