import gzip
import io
import random
import stat
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from medbench.core.errors import UserError
from medbench.data import archive as module
from medbench.data.archive import Limits, extract
from medbench.run.files import replacing
from tests.helpers.archives import CENTRAL, listed, patched, special, tar_of, zip_entry, zip_of

NOISE = random.Random(0).randbytes(1_200_000)  # hard to compress, and more than one chunk
GOOD = {"set/ill/1.png": b"one", "set/well/2.png": NOISE, "set/läsion.csv": b"", "top.txt": b"top"}
NO_MORE = Limits()
FLAGS, CRC, SIZE = 8, 16, 24  # where its fields begin
pytestmark = pytest.mark.filterwarnings("ignore:Duplicate name")


def unpack(archive: Path, folder: Path, limits: Limits = NO_MORE) -> tuple[int, int]:
    """In place of what was there, as `fetch` does."""
    with replacing(folder) as temporary:
        return extract(archive, temporary, limits)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file with its bytes, every folder with none."""
    paths = sorted(path for path in folder.rglob("*"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b"" for path in paths}


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """A function that expects one line, an unchanged folder beside the archive, and, if judged, no try to write."""

    def expect(archive: Path, message: str, limits: Limits = NO_MORE, judged: bool = True) -> str:
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / "old.txt").write_text("old")
        before = tree(tmp_path)
        with monkeypatch.context() as patch, pytest.raises(UserError, match=message) as caught:
            if judged:
                patch.setattr(module, "_chunks", lambda *arguments: pytest.fail("it was going to be written"))
            unpack(archive, tmp_path / "out", limits)
        assert tree(tmp_path) == before
        text = str(caught.value)
        assert text.startswith(f"{archive}: ") and text.isprintable() and "; " in text
        return text

    return expect


def files_of(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in tree(folder).items() if (folder / name).is_file()}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_gives_its_bytes(tmp_path, method):
    folder = tmp_path / "new" / "out"
    (folder / "set").mkdir(parents=True)
    (folder / "set" / "old.png").write_bytes(b"old")  # the folder is replaced whole
    archive = zip_of(tmp_path / "a.bin", ("set/", b""), ("set/none/", b""), *GOOD.items(), method=method)
    assert unpack(archive, folder) == (4, sum(map(len, GOOD.values())))
    assert files_of(folder) == GOOD
    assert (folder / "set" / "none").is_dir()


TAR_FORMATS = tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT


@pytest.mark.parametrize(("packing", "form"), [*zip(("", "", "", "gz", "bz2", "xz"), 2 * TAR_FORMATS, strict=True)])
def test_a_tar_gives_its_bytes(tmp_path, packing, form, monkeypatch):
    monkeypatch.setattr(tarfile.TarFile, "format", form)
    members = [(f"./{name}", content) for name, content in GOOD.items()]
    archive = tar_of(tmp_path / "a.bin", (special("./", tarfile.DIRTYPE), b""), *members, packing=packing)
    assert unpack(archive, tmp_path / "out") == (4, sum(map(len, GOOD.values())))
    assert files_of(tmp_path / "out") == GOOD
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "out"]


def test_modes_and_times_of_the_archive_are_not_applied(tmp_path):
    info = special("run.sh", tarfile.REGTYPE)
    info.mode, info.mtime = 0o4777, 1
    unpack(tar_of(tmp_path / "a.tar", (info, b"x")), tmp_path / "out")
    (tmp_path / "plain").touch()
    written, plain = (tmp_path / "out" / "run.sh").stat(), (tmp_path / "plain").stat()
    assert written.st_mode == plain.st_mode and written.st_mtime > 1e9


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_what_macos_adds_is_left_out(tmp_path, make):
    litter = "__MACOSX/set/._1.png", ".DS_Store", "set/.DS_Store", "set/._1.png", "__MACOSX/SET/._1.png"
    archive = make(tmp_path / "a", *[(name, b"litter") for name in litter], ("set/1.png", b"image"))
    assert unpack(archive, tmp_path / "out") == (1, 5)
    assert tree(tmp_path / "out") == {"set": b"", "set/1.png": b"image"}


def test_a_zip_made_on_windows_gets_folders(tmp_path):
    unpack(zip_of(tmp_path / "a.zip", ("set\\", b""), ("set\\ill\\1.png", b"one")), tmp_path / "out")
    assert files_of(tmp_path / "out") == {"set/ill/1.png": b"one"}


def test_a_log_tells_how_far_it_is(tmp_path, capsys):
    unpack(zip_of(tmp_path / "a.zip", *GOOD.items()), tmp_path / "out")
    assert capsys.readouterr().err.splitlines()[-1].startswith("unpacking a.zip: 4/4 files, ")


@pytest.mark.parametrize("make", [zip_of, tar_of])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../evil.txt", "a name that leads out of its folder, e.g. '../evil.txt'"),
        ("set/../../evil.txt", "a name that leads out of its folder"),
        ("set\\..\\..\\evil.txt", "a name that leads out of its folder"),
        ("set/.. /evil.txt", "a name that leads out of its folder"),
        ("__MACOSX/../../evil.txt", "a name that leads out of its folder"),
        ("/etc/evil.txt", "an absolute name, e.g. '/etc/evil.txt'"),
        ("C:\\evil.txt", r"an absolute name, e.g. 'C:\\\\evil.txt'"),
        ("c:evil.txt", "an absolute name"),
        ("\\\\host\\share\\evil.txt", "an absolute name"),
        (".", "an empty name"),
        ("set/" + "ä" * 128, "a name with a part of more than 255 bytes"),
        ("a/" * 64 + "b", "a name of more than 64 parts"),
    ],
)
def test_unsafe_names_are_refused(tmp_path, refused, make, name, message):
    refused(make(tmp_path / "a", ("set/1.png", b"one"), (name, b"evil")), f"holds {message}")


def test_a_name_with_a_nul_is_refused(tmp_path, refused):
    archive = zip_of(tmp_path / "a.zip", ("good.png#.exe", b"evil"))
    archive.write_bytes(archive.read_bytes().replace(b"png#", b"png\0"))
    refused(archive, r"holds a name with a NUL, e.g. 'good.png\\x00.exe'; fetch it again from its publisher")


def test_a_name_cannot_move_the_cursor_or_fill_the_screen(tmp_path, refused):
    name = "../\x1b[2J\u202e\n" + 200 * "x"
    text = refused(zip_of(tmp_path / "a.zip", (name, b"evil")), "leads out of its folder")
    assert r"\x1b[2J\u202e\n" in text and "x...x" in text and len(text) < len(str(tmp_path)) + 250


DEVICES = tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, b"9"
TAR_KINDS = {tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link"}
TAR_KINDS |= dict.fromkeys(DEVICES, "a device, a pipe or a sparse file")


@pytest.mark.parametrize(("kind", "what"), TAR_KINDS.items())
@pytest.mark.parametrize("packing", ["", "gz"])
def test_tars_with_more_than_files_are_refused(tmp_path, refused, kind, what, packing):
    archive = tar_of(tmp_path / "a", ("1.png", b"one"), (special("x", kind, "1.png"), b""), packing=packing)
    refused(archive, f"holds {what}, e.g. 'x'; fetch it again")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK])
def test_zips_with_more_than_files_are_refused(tmp_path, refused, mode):
    what = "a symbolic link" if mode == stat.S_IFLNK else "a device or a pipe"
    refused(zip_of(tmp_path / "a.zip", (zip_entry("x", mode | 0o777), b"/etc/passwd")), f"holds {what}, e.g. 'x'")


@pytest.mark.parametrize("make", [zip_of, tar_of])
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["set/a.png", "set/A.png"], r"two names that differ only in case.*\('set/a.png'\), e.g. 'set/A.png'"),
        (["Set/a.png", "set/b.png"], r"two names that differ only in case.*\('Set'\)"),
        (["é.png", "e\u0301.png"], "two names that differ only in case or in their Unicode form"),
        (["a.png", "b.png", "a.png"], "two files of one name, e.g. 'a.png'"),
        (["set/a.png", "set//./a.png"], "two files of one name"),
        (["set/a.png", "set\\a.png"], "two files of one name"),
        (["set", "set/a.png"], "one name for a file and for a folder"),
        (["set/a.png", "set"], "one name for a file and for a folder"),
        (["set/a.png", "SET"], "one name for a file and for a folder"),
    ],
)
def test_names_that_meet_are_refused(tmp_path, refused, make, names, message):
    refused(make(tmp_path / "a", *[(name, b"x") for name in names]), message)


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_too_many_members_or_bytes_are_refused(tmp_path, make):
    archive = make(tmp_path / "a", *[(f"{number}.png", bytes(100)) for number in range(4)])
    assert unpack(archive, tmp_path / "out", Limits(members=4, bytes=400)) == (4, 400)
    for limits, what in ((Limits(members=3), "holds more than 3 members"), (Limits(bytes=399), "unpacks to more than")):
        with pytest.raises(UserError, match=f"{what}.*, e.g. '3.png'; "):
            unpack(archive, tmp_path / "other", limits)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "out"]


@pytest.mark.parametrize(("packing", "noise"), [("gz", 1000), ("xz", 1000), ("zip", 1000), ("zip", 200_000)])
def test_a_bomb_is_known_by_its_ratio(tmp_path, refused, packing, noise):
    # Of a zip with many random bytes beside the bomb, the whole unpacks to little more than its size.
    content = ("noise", NOISE[:noise]), ("zeros", bytes(4 * 2**20))
    bomb = zip_of(tmp_path / "a", *content) if packing == "zip" else tar_of(tmp_path / "a", *content, packing=packing)
    refused(bomb, "unpacks to more than 200 times its size, as a zip bomb does, e.g. 'zeros'")


def test_small_or_allowed_ratios_pass(tmp_path):
    for size, limits in ((2**20, Limits()), (2**21, Limits(ratio=2000))):
        archive = zip_of(tmp_path / "a.zip", ("zeros", bytes(size)))
        assert unpack(archive, tmp_path / "out", limits) == (1, size)


def test_members_that_share_their_packed_bytes_are_a_bomb(tmp_path, refused):
    """As in Fifield's: no member is suspicious, but together they state more than the file can hold."""
    archive = zip_of(tmp_path / "a.zip", ("00.bin", NOISE[:1000] * 200))
    data = archive.read_bytes()
    start, end = data.index(CENTRAL), data.index(b"PK\x05\x06")
    entries = b"".join(data[start:end].replace(b"00.bin", b"%02d.bin" % number) for number in range(99))
    tail = bytearray(data[end:])
    tail[8:16] = struct.pack("<HHL", 99, 99, len(entries))
    archive.write_bytes(data[:start] + entries + tail)
    refused(archive, "unpacks to more than 200 times its size")


def test_a_listing_that_would_fill_the_memory_is_refused(tmp_path, refused):
    info = tarfile.TarInfo("a.png")
    info.pax_headers = {"comment": "x" * 2**21}
    refused(tar_of(tmp_path / "a.tgz", (info, b""), packing="gz"), "its listing is too long")


@pytest.mark.parametrize(("size", "kind", "times"), [(-512, tarfile.REGTYPE, 1), (0, tarfile.GNUTYPE_LONGNAME, 3000)])
def test_a_tar_that_would_be_read_for_ever_is_refused(tmp_path, refused, size, kind, times):
    info = special("a.png", kind)
    info.size = size  # back to its own header; or a header that goes before a header, many times
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) * times + bytes(10240))
    refused(tmp_path / "a.tar", "unpacks to more than" if size else "is damaged or cut off .*recursion")


def test_a_zip_listing_that_would_fill_the_memory_is_refused(tmp_path, refused):
    entries = [zip_entry(f"{number}.png", 0) for number in range(18)]
    for entry in entries:
        entry.comment = b"x" * 65535
    refused(zip_of(tmp_path / "a.zip", *[(entry, b"") for entry in entries]), "listing is too long", Limits(members=20))


@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        (10, "is damaged or cut off .*Bad CRC-32.*"),
        (999_999, "is damaged or lies: a member unpacks to 50000 bytes and not to the 999999 that it states"),
    ],
)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_size_is_counted_not_believed(tmp_path, refused, stated, problem, method):
    archive = zip_of(tmp_path / "a.zip", ("liar", NOISE[:50_000]), ("b", b"b"), method=method)
    listed(archive, SIZE, struct.pack("<L", stated))
    refused(archive, f"{problem}, e.g. 'liar'; remove it and download it again", judged=False)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_no_member_unpacks_to_more_than_it_states(tmp_path, method):
    archive = zip_of(tmp_path / "a.zip", ("liar", NOISE), method=method)
    listed(listed(archive, SIZE, struct.pack("<L", 10)), CRC, struct.pack("<L", zlib.crc32(NOISE[:10])))
    assert unpack(archive, tmp_path / "out") == (1, 10)
    assert files_of(tmp_path / "out") == {"liar": NOISE[:10]}


def test_a_zip_that_is_locked_or_packed_without_a_bound_is_unpacked_by_hand(tmp_path, refused):
    by_hand = "e.g. 'a.png'; unpack it yourself for a dataset of kind: folder"
    archive = listed(zip_of(tmp_path / "a.zip", ("a.png", b"x")), FLAGS, b"\x01")
    refused(archive, f"is locked with a password, {by_hand}")
    archive = zip_of(tmp_path / "a.zip", ("a.png", b"x"), method=zipfile.ZIP_BZIP2)
    refused(archive, f"is compressed by method 12, which is not read here, {by_hand}")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_corrupt_member_is_named(tmp_path, refused, method):
    archive = zip_of(tmp_path / "a.zip", ("good.png", b"good"), ("bad.png", NOISE[:5000]), method=method)
    place = archive.read_bytes().index(b"bad.png") + 2000
    patched(archive, place, bytes([archive.read_bytes()[place] ^ 1]))
    refused(archive, "is damaged or cut off .*, e.g. 'bad.png'; remove it and download it again", judged=False)


def test_a_wrong_check_sum_is_a_corrupt_member(tmp_path, refused):
    archive = listed(zip_of(tmp_path / "a.zip", ("bad.png", b"x")), CRC, b"abcd")
    refused(archive, "is damaged or cut off .*Bad CRC-32.*, e.g. 'bad.png'", judged=False)


@pytest.mark.parametrize("packing", ["zip", "", "gz", "bz2", "xz"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_truncated_archive_is_refused(tmp_path, refused, packing, share):
    members = [(f"{number}.png", NOISE[:3000]) for number in range(20)]
    archive = tmp_path / "a"
    zip_of(archive, *members) if packing == "zip" else tar_of(archive, *members, packing=packing)
    data = archive.read_bytes().rstrip(b"\0") if packing == "" else archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * share)])
    refused(archive, "is damaged or cut off .*; remove it and download it again")


def test_a_tar_whose_end_is_not_its_end_is_refused(tmp_path, refused):
    """Cut between two members, with a damaged header, or with a check sum after the end that is wrong."""
    content = ("1.png", bytes(512)), ("2.png", bytes(512))
    whole = tar_of(tmp_path / "a.tar", *content).read_bytes()
    packed = tar_of(tmp_path / "b.tgz", *content, packing="gz")
    (tmp_path / "a.tar").write_bytes(whole[:1024])
    refused(tmp_path / "a.tar", "no end mark after the last member")
    (tmp_path / "a.tar").write_bytes(whole)
    refused(patched(tmp_path / "a.tar", 1024, b"X"), "no end mark after the last member")
    refused(patched(packed, packed.stat().st_size - 8, b"abcd"), "CRC check failed")


def test_a_tar_that_never_ends_is_refused(tmp_path, refused):
    archive = tar_of(tmp_path / "a.tar", ("1.png", b"1"))
    archive.write_bytes(gzip.compress(archive.read_bytes() + bytes(65 * 2**20), 1))
    refused(archive, "it goes on after its end mark")


@pytest.mark.parametrize(
    "content",
    [b"", b"<!DOCTYPE html>", b"\x89PNG\r\n\x1a\n" + bytes(2000), gzip.compress(b"csv", mtime=0)],
    ids=["empty", "html", "png", "gzip"],
)
def test_what_is_no_archive_is_named(tmp_path, refused, content):
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path / "a.zip", r"is not a zip or tar archive \(it begins with b.*; remove it and download it again")


def test_an_archive_without_a_file_or_that_is_not_there_is_named(tmp_path, refused):
    for make in (zip_of, tar_of):
        refused(make(tmp_path / "a", (".DS_Store", b"x")), "holds no file")
    refused(tmp_path / "b.zip", r"b\.zip: cannot be read: No such file or directory; check its path")


def test_a_disk_without_room_is_noticed_before(tmp_path, refused, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: SimpleNamespace(free=2**20))
    archive = zip_of(tmp_path / "a.zip", *GOOD.items())
    refused(archive, r"unpacks to 1.1 MiB, but .* has 1.0 MiB left; free the disk")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_fills_up_leaves_nothing(tmp_path, monkeypatch):
    def opened(path, mode):
        return path.open(mode) if mode == "rb" else io.FileIO("/dev/full", "wb")

    monkeypatch.setattr(module, "open", opened, raising=False)
    archive = zip_of(tmp_path / "a.zip", *GOOD.items())
    with pytest.raises(UserError, match=r"out: cannot be written: No space left on device \(free the disk"):
        unpack(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_members_are_streamed(tmp_path, make):
    archive = make(tmp_path / "a", ("large.bin", NOISE * 12))
    tracemalloc.start()
    try:
        assert unpack(archive, tmp_path / "out") == (1, 14_400_000)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()
