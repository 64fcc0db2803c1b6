import bz2
import gzip
import io
import lzma
import tarfile

import pytest

pytest.importorskip("pyarrow", reason="no PyArrow here: pip install -r requirements-cluster.txt")

from captioner.bulk import tar_stream
from captioner.bulk.tar_stream import OVERSIZED, TarReader

NAMES = {"a.png": b"a" * 3000, "folder/" + "b" * 300 + ".png": b"b", "empty.png": b""}


def archive(form: int, files: dict[str, bytes] = NAMES) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=form) as tar:
        for name, inside in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(inside)
            tar.addfile(info, io.BytesIO(inside))
    return content.getvalue()


def read(content: bytes) -> dict[str, bytes]:
    reader = TarReader(io.BufferedReader(io.BytesIO(content)))
    return {member.name: reader.read(member) if member.isfile() else member.type for member in reader}


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_what_is_in_a_tar_file_comes_out(form, pack):
    assert read(pack(archive(form))) == NAMES


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_file_that_ends_early_is_an_error(pack):
    content = pack(archive(tarfile.GNU_FORMAT, {"a.png": bytes(range(256)) * 20, "b.png": b"b"}))
    with pytest.raises((tarfile.ReadError, EOFError)):
        read(content[: len(content) // 3])


def test_a_header_that_is_too_long_is_passed_over(monkeypatch):
    monkeypatch.setattr(tar_stream, "HEADER_BYTES", 2000)
    files = {"a.png": b"a", "b" * 1900 + ".png": b"b", "c" * 2100 + ".png": b"c", "d.png": b"d"}
    found = read(archive(tarfile.GNU_FORMAT, files))
    assert found == {
        "a.png": b"a",
        "b" * 1900 + ".png": b"b",
        "././@LongLink": OVERSIZED,
        "c" * 100: b"c",  # as it stands in the member's own header
        "d.png": b"d",
    }


def test_headers_that_are_too_long_together_are_an_error():
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 900_000
    long = header.tobuf() + b"x" * 900_000 + b"\0" * (-900_000 % 512)
    with pytest.raises(tarfile.ReadError, match="a header of more than 1 MB"):
        read(long * 3 + archive(tarfile.GNU_FORMAT))


def test_a_size_below_nothing_is_an_error():
    header = tarfile.TarInfo("a.png")
    header.size = 512
    content = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    content[124:136] = b"\xff" * 10 + b"\xfc\x00"  # -1024
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content)
    with pytest.raises(tarfile.TarError):
        read(bytes(content) + b"\0" * 2048)


def test_what_unpacks_to_too_much_is_given_up(monkeypatch):
    content = gzip.compress(archive(tarfile.GNU_FORMAT, {"a.txt": b"\0" * 5_000_000, "b.png": b"b"}))
    assert list(read(content)) == ["a.txt", "b.png"]
    monkeypatch.setattr(tar_stream, "UNPACKED_BYTES", 1_000_000)
    with pytest.raises(tarfile.ReadError, match="it unpacks to more than"):
        read(content)


def test_members_are_forgotten():
    reader = TarReader(io.BufferedReader(io.BytesIO(archive(tarfile.GNU_FORMAT))))
    for _ in reader:
        assert not reader._archive.members
