"""Small DICOM files whose pixels are known."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGLosslessSV1, SecondaryCaptureImageStorage, generate_uid

from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS
from medbench.data.dicom import decode_dicom
from medbench.data.folders import is_dicom
from medbench.data.images import ImageError, Windowing, in_window
from medbench.data.prepare import prepare
from medbench.data.sections import DicomDataset
from tests.helpers.own_images import damaged_copies

RAMP = np.arange(0, 4096, 64, dtype=np.uint16).reshape(8, 8)  # 12 bits in 16
EIGHT = np.arange(64, dtype=np.uint8).reshape(8, 8)
PATIENTS = ("Meier^1970", "Kurz^1981", "Lang^1990", "Huber^1955")


def write(path: Path, pixels: np.ndarray = RAMP, bits: int = 12, syntax=ExplicitVRLittleEndian, **tags) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = syntax
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    file.PatientID = "Meier^1970"
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    file.Rows, file.Columns = pixels.shape[:2] if pixels.ndim == 2 or colour else pixels.shape[1:3]
    file.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    file.SamplesPerPixel = 3 if colour else 1
    file.PlanarConfiguration = 0
    file.BitsAllocated, file.BitsStored, file.HighBit = pixels.itemsize * 8, bits, bits - 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    file.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(file, name, value)
    file["PixelData"].is_undefined_length = syntax.is_compressed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.save_as(path, enforce_file_format=True)
    return path


def section(root: Path = Path("."), **settings) -> DicomDataset:
    return DicomDataset(kind="dicom", path=str(root), **{"image_size": 8, **settings})


def shown(path: Path, **settings) -> np.ndarray:
    (picture,) = decode_dicom(path, section(**settings))
    assert not picture.deep or "window" in settings
    return np.asarray(in_window(picture, Windowing(settings["window"]) if "window" in settings else None))


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.floor(np.clip((values.astype(float) - low) / (high - low), 0, 1) * 255 + 0.5).astype(np.uint8)


def test_a_window_of_the_config_counts_in_rescaled_values(tmp_path):
    path = write(tmp_path / "a.dcm", RescaleSlope=2, RescaleIntercept=-1000)
    np.testing.assert_array_equal(shown(path, window=(40, 400)), scaled(RAMP * 2.0 - 1000, -160, 240))


def test_the_window_of_the_file_is_taken_where_the_config_has_none(tmp_path):
    path = write(tmp_path / "a.dcm", RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=401)
    # DICOM PS3.3 C.11.2.1.2.1: centre - 0.5 and width - 1.
    np.testing.assert_array_equal(shown(path), scaled(RAMP - 1024.0, 39.5 - 200, 39.5 + 200))
    several = write(tmp_path / "b.dcm", WindowCenter=[1000, 9], WindowWidth=[501, 9], VOILUTFunction="LINEAR_EXACT")
    np.testing.assert_array_equal(shown(several), scaled(RAMP, 1000 - 250.5, 1000 + 250.5))
    sigmoid = write(tmp_path / "c.dcm", WindowCenter=2000, WindowWidth=1000, VOILUTFunction="SIGMOID")
    curve = 255 / (1 + np.exp(-4 * (RAMP - 2000.0) / 1000))
    assert np.abs(shown(sigmoid) - curve).max() <= 0.5


def test_a_voi_lut_is_applied_and_monochrome1_inverted_after_its_window(tmp_path):
    lut = Dataset()
    lut.LUTDescriptor = [4096, 0, 10]
    lut.add_new("LUTData", "OW", (np.arange(4096) // 8 + 100).astype("<u2").tobytes())
    path = write(tmp_path / "a.dcm", VOILUTSequence=[lut])
    np.testing.assert_array_equal(shown(path), scaled(RAMP // 8 + 100, 0, 1023))
    negative = write(tmp_path / "b.dcm", PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(shown(negative, window=(1000, 800)), 255 - scaled(RAMP, 600, 1400))
    eight = write(tmp_path / "c.dcm", EIGHT, 8, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(shown(eight), 255 - EIGHT)
    assert decode_dicom(eight, section())[0].remarks == ("MONOCHROME1 inverted",)


def test_eight_bits_and_signed_and_colour(tmp_path):
    for neutral in ({}, {"RescaleSlope": 1, "RescaleIntercept": 0}):
        np.testing.assert_array_equal(shown(write(tmp_path / "a.dcm", EIGHT, 8, **neutral)), EIGHT)
    signed = (RAMP.astype(np.int16) - 2000).astype(np.int16)
    path = write(tmp_path / "c.dcm", signed, 16)
    np.testing.assert_array_equal(shown(path, window=(0, 4000)), scaled(signed, -2000, 2000))
    colour = np.random.RandomState(0).randint(0, 256, (8, 6, 3)).astype(np.uint8)
    np.testing.assert_array_equal(shown(write(tmp_path / "d.dcm", colour, 8)), colour)


def test_frames_are_refused_or_named(tmp_path):
    path = write(tmp_path / "a.dcm", np.stack([RAMP, RAMP[::-1]]), NumberOfFrames=2)
    with pytest.raises(ImageError, match="has 2 frames; set frames: all"):
        decode_dicom(path, section())
    first, second = decode_dicom(path, section(frames="all"))
    assert (first.part, second.part) == (" frame 0", " frame 1")
    np.testing.assert_array_equal(np.asarray(second.image), RAMP[::-1])


def enhanced() -> Dataset:
    item, transformation = Dataset(), Dataset()
    transformation.RescaleSlope, transformation.RescaleIntercept = 2, 0
    item.PixelValueTransformationSequence = [transformation]
    return item


REFUSED = {
    "palette": ({"PhotometricInterpretation": "PALETTE COLOR"}, "has pixels of type PALETTE COLOR"),
    "enhanced": ({"SharedFunctionalGroupsSequence": [enhanced()]}, "has values rescaled per frame"),
    "too large": ({"Rows": 65535, "Columns": 65535}, "has 65535 x 65535 pixels, too many"),
    "too short": ({"Rows": 9}, "cannot be decoded: "),
    "compressed": (
        {"syntax": JPEGLosslessSV1, "PixelData": encapsulate([b"\xff\xd8\xff\xd9"])},
        "cannot be decoded: .*JPEG Lossless",
    ),
    "no width": ({"WindowCenter": 3, "WindowWidth": 0}, "cannot be decoded: .*Window Width"),
}


@pytest.mark.parametrize(("tags", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_shown_right_is_refused(tmp_path, tags, reason):
    with pytest.raises(ImageError, match=reason) as refusal:
        decode_dicom(write(tmp_path / "a.dcm", **tags), section())
    assert "\n" not in str(refusal.value)


def test_flipped_bytes_never_raise_anything_else(tmp_path):
    path = write(tmp_path / "a.dcm", WindowCenter=40, WindowWidth=400)
    for damaged in damaged_copies(path, 128, path.stat().st_size - RAMP.nbytes):
        try:
            decode_dicom(damaged, section(frames="all"))
        except ImageError as error:
            assert "\n" not in str(error)


def test_files_without_a_suffix_belong_and_the_directory_does_not():
    assert all(map(is_dicom, ("a.dcm", "IM0001", "1.2.840.113619.2.55", "A.IMA")))
    assert not any(map(is_dicom, ("DICOMDIR", "a.png", "readme.txt", "README")))


def test_a_folder_of_patients(tmp_path):
    rng = np.random.RandomState(0)
    for cls in "ab":
        for number in range(12):
            patient = f"{PATIENTS[number % 4]}-{cls}"
            pixels = rng.randint(900, 1300, (8, 8)).astype(np.uint16)
            write(tmp_path / "mine" / cls / f"IM{number:04}", pixels, PatientID=patient)
    dataset = prepare(section(tmp_path / "mine", val_fraction=0.25, test_fraction=0.25), "mine", seed=0)
    assert dataset.card.patients == "known"
    groups = [set(dataset.splits[name].groups.tolist()) for name in SPLITS]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 8
    low, high = dataset.card.window[0] - dataset.card.window[1] / 2, dataset.card.window[0] + dataset.card.window[1] / 2
    assert 900 <= low <= 905 and 1295 <= high <= 1300
    assert dataset.splits["test"].origins.levels.min() > 30
    dataset.save(tmp_path / "mine.npz")
    written = (tmp_path / "mine.npz").read_bytes() + (tmp_path / "mine.json").read_bytes()
    assert not any(name.split("^")[0].encode() in written for name in PATIENTS)


def test_a_patient_in_two_split_folders_is_refused_without_a_name(tmp_path):
    for number, split in enumerate(SPLITS):
        for cls in "ab":
            write(tmp_path / split / cls / "1.dcm", PatientID="Meier^1970" if split != "val" else f"{number}{cls}")
    with pytest.raises(UserError, match="also stands in train") as refusal:
        prepare(section(tmp_path), "mine", seed=0)
    assert "Meier" not in str(refusal.value)


def test_what_is_no_dicom_and_a_missing_extra_are_named(tmp_path, monkeypatch):
    write(tmp_path / "a" / "1.dcm")
    (tmp_path / "a" / "2.dcm").write_bytes(b"text" * 100)
    with pytest.raises(UserError, match=r"a/2.dcm: is not DICOM; mend or remove it"):
        prepare(section(tmp_path), "mine", seed=0)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(UserError, match=r"datasets.mine: .* needs pydicom: pip install 'medbench\[dicom\]'"):
        prepare(section(tmp_path), "mine", seed=0)


@pytest.mark.parametrize("slope", ["0", "1e400"])
def test_a_slope_that_says_nothing_makes_no_nonsense(tmp_path, slope):
    path = write(tmp_path / "a.dcm", RescaleSlope=slope, RescaleIntercept=3, WindowCenter=40, WindowWidth=400)
    try:
        assert len(np.unique(shown(path))) == 1
    except ImageError as error:
        assert "not finite" in str(error)
