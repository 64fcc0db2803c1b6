"""Small files that ask a reader for much: `make(name, folder)` writes one and returns its path."""

import gzip
import io
import lzma
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

HUGE = 3_000_000_000
REPEATED = 32


def photo() -> bytes:
    """A photo of a few bytes."""
    content = io.BytesIO()
    Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(content, "PNG")
    return content.getvalue()


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, size: int | None = None) -> bytes:
    """A header that claims a size, and the content."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content) if size is None else size
    return info.tobuf(tarfile.GNU_FORMAT) + content + b"\0" * (-len(content) % 512)


def good(number: int) -> bytes:
    return member(f"{number}.png", photo())


END = b"\0" * 1024


def zeros(count: int) -> Iterator[bytes]:
    piece = b"\0" * (1 << 20)
    while count > 0:
        yield piece[:count]
        count -= len(piece)


def with_checksum(header: bytearray) -> bytes:
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def sparse_header(name: str, entries: list[tuple[int, int]], extended: bool, real_size: int, size: int = 0) -> bytes:
    """The header of old GNU tar: a map of at most four pieces, and whether blocks with more of them follow."""
    header = bytearray(member(name, kind=tarfile.GNUTYPE_SPARSE, size=size))
    for number, (offset, count) in enumerate(entries):
        header[386 + 24 * number : 410 + 24 * number] = b"%011o\0%011o\0" % (offset, count)
    header[482] = extended
    header[483:495] = b"%011o\0" % real_size
    return with_checksum(header)


def sparse_tar(path: Path) -> None:
    path.write_bytes(sparse_header("sparse.png", [], False, HUGE) + good(1) + END)


def sparse_map_tgz(path: Path) -> None:
    block = bytearray(b"%011o\0%011o\0" % (1, 1) * 21 + b"\0" * 8)
    block[504] = 1
    with gzip.open(path, "wb", 1) as file:
        file.write(good(1) + sparse_header("sparse.png", [(1, 1)] * 4, True, 1000))
        for _ in range(1000):
            file.write(bytes(block) * 1000)


def in_tgz(kind: bytes, name: str = "zeros.png") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with gzip.open(path, "wb", 6) as file:
            file.write(good(1) + member(name, kind=kind, size=HUGE))
            for piece in zeros(HUGE + -HUGE % 512):
                file.write(piece)
            file.write(good(2) + END)

    return write


def large_photos_tgz(path: Path) -> None:
    """Eight that are as large as a photo may be; to open them says that they are none."""
    with gzip.open(path, "wb", 1) as file:
        for number in range(8):
            file.write(member(f"{number}.png", size=199_999_488))
            for piece in zeros(199_999_488):
                file.write(piece)
        file.write(good(8) + END)


def many_members_tgz(path: Path) -> None:
    with gzip.open(path, "wb", 1) as file:
        for number in range(300):
            file.write(b"".join(member(f"{number}/{each}") for each in range(1000)))
        file.write(good(1) + END)


def many_errors_tgz(path: Path) -> None:
    with gzip.open(path, "wb", 1) as file:
        for number in range(100):
            file.write(b"".join(member(f"{number}/{each}.png") for each in range(1000)))
        file.write(END)


def global_headers_tgz(path: Path) -> None:
    value = b"x" * 900_000
    with gzip.open(path, "wb", 1) as file:
        for number in range(1500):
            keyed = b" key%06d=%s\n" % (number, value)
            text = b"%d%s" % (len(keyed) + 6, keyed)
            file.write(member("pax", text, tarfile.XGLTYPE) + member(f"{number}.txt"))
        file.write(good(1) + END)


def dictionary_xz(path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 23}]
    content = bytearray(lzma.compress(good(1) + END, format=lzma.FORMAT_ALONE, filters=filters))
    content[1:5] = (1 << 31).to_bytes(4, "little")  # the size of the dictionary
    path.write_bytes(content)


def dictionary_table(path: Path) -> None:
    """One value of 40 MB, 32 times, then a row group with a photo."""
    value = pa.DictionaryArray.from_arrays(pa.array([0] * REPEATED, pa.int32()), pa.array([b"\0" * 40_000_000]))
    schema = pa.schema([("image", pa.binary())])
    with pq.ParquetWriter(path, pa.schema([("image", value.type)]), compression="zstd", store_schema=False) as writer:
        writer.write_table(pa.table({"image": value}))
        few = pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), pa.array([photo()]))
        writer.write_table(pa.table({"image": few}))
    assert pq.read_schema(path) == schema


def names_dictionary_table(path: Path) -> None:
    value = pa.DictionaryArray.from_arrays(pa.array([0] * REPEATED, pa.int32()), pa.array(["x" * 40_000_000]))
    pq.write_table(pa.table({"path": value}), path, compression="zstd", store_schema=False)


def record_dictionary_table(path: Path) -> None:
    value = pa.DictionaryArray.from_arrays(pa.array([0] * REPEATED, pa.int32()), pa.array([b"\0" * 40_000_000]))
    record = pa.StructArray.from_arrays([value], names=["bytes"])
    pq.write_table(pa.table({"image": record}), path, compression="zstd", store_schema=False)


def page_table(path: Path) -> None:
    """A row group with one page of 1.6 GB, then one with a photo."""
    schema = pa.schema([("image", pa.binary())])
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
        writer.write_table(pa.table({"image": [b"\0" * 80_000_000] * 20}, schema))
        writer.write_table(pa.table({"image": [photo()]}, schema))


def nulls_table(path: Path) -> None:
    """200,000 rows without a photo."""
    pq.write_table(pa.table({"image": pa.nulls(200_000, pa.binary())}), path)


def row_groups_table(path: Path) -> None:
    schema = pa.schema([(f"column{number}", pa.int8()) for number in range(50)] + [("image", pa.binary())])
    none = pa.table({name: pa.nulls(0, kind) for name, kind in zip(schema.names, schema.types, strict=True)})
    with pq.ParquetWriter(path, schema) as writer:
        for _ in range(20_000):
            writer.write_table(none)


def long_line_list(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"a.png\n")
        file.truncate(HUGE)  # which takes no room on the disk
        file.seek(HUGE)
        file.write(b"\nb.png\n")


FILES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a sparse member of 3 GB": ("sparse.tar", sparse_tar),
    "a sparse map of 500 MB": ("map.tgz", sparse_map_tgz),
    "a member of 3 GB": ("zeros.tgz", in_tgz(tarfile.REGTYPE)),
    "a long name of 3 GB": ("name.tgz", in_tgz(tarfile.GNUTYPE_LONGNAME, "././@LongLink")),
    "an extended header of 3 GB": ("pax.tgz", in_tgz(tarfile.XHDTYPE, "pax")),
    "photos of 200 MB": ("large.tgz", large_photos_tgz),
    "300,000 members": ("members.tgz", many_members_tgz),
    "100,000 empty photos": ("errors.tgz", many_errors_tgz),
    "global headers of 1.3 GB": ("global.tgz", global_headers_tgz),
    "a dictionary of 2 GB to unpack with": ("dictionary.tar", dictionary_xz),
    "a value of 40 MB, 32 times": ("dictionary.parquet", dictionary_table),
    "a path of 40 MB, 32 times": ("names.parquet", names_dictionary_table),
    "a record with 40 MB, 32 times": ("record.parquet", record_dictionary_table),
    "a page of 1.6 GB": ("page.parquet", page_table),
    "200,000 rows without photos": ("nulls.parquet", nulls_table),
    "20,000 row groups of 51 columns": ("groups.parquet", row_groups_table),
    "a line of 3 GB": ("line.txt", long_line_list),
}


def make(name: str, folder: Path) -> Path:
    """Write one of `FILES` into a folder."""
    path = folder / FILES[name][0]
    FILES[name][1](path)
    return path
