import os
import signal
import sys
import time

import pytest

pa = pytest.importorskip("pyarrow", reason="no PyArrow here: pip install -r requirements-cluster.txt")

import pyarrow.parquet as pq

from captioner.bulk import table_process
from captioner.bulk.storage import Storage
from captioner.bulk.tables import Photo, Table, TableError, Tables


@pytest.fixture
def tables():
    return Tables()


def write(path, columns, **options):
    pq.write_table(pa.table(columns), path, **options)
    return str(path)


def photos(tables, place, group=0, column="image"):
    return list(tables.photos(Storage(), place, column, group))


def test_a_table_tells_its_column_and_the_rows_of_its_groups(tables, tmp_path):
    place = write(tmp_path / "t.parquet", {"id": [1, 2, 3], "image": [b"a", b"b", b"c"]}, row_group_size=2)
    assert tables.describe(Storage(), place, "") == Table("image", False, [2, 1])
    assert photos(tables, place) == [Photo("", b"a"), Photo("", b"b")]
    assert photos(tables, place, 1) == [Photo("", b"c")]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_names_stand_beside_the_bytes_or_in_the_record(tables, tmp_path, kind):
    place = write(tmp_path / "t.parquet", {"image": pa.array([b"a", None], kind), "key": ["x", "y" * 40_000]})
    assert photos(tables, place) == [Photo("x", b"a"), Photo("", b"", "there are no bytes")]
    record = pa.struct([("path", pa.string()), ("bytes", kind)])
    rows = [{"bytes": b"a", "path": "x"}, {"bytes": b"b", "path": None}, None, {"bytes": None, "path": "z"}]
    place = write(tmp_path / "r.parquet", {"image": pa.array(rows, record), "path": list("klmn")})
    none = "there are no bytes"
    assert photos(tables, place) == [Photo("x", b"a"), Photo("l", b"b"), Photo("m", b"", none), Photo("z", b"", none)]


def test_a_table_with_doubled_columns_is_refused_or_goes_on_without_them(tables, tmp_path):
    image, path = pa.array([b"a"]), pa.array(["x"])
    pq.write_table(pa.table([image, image], names=["image", "image"]), tmp_path / "t.parquet")
    with pytest.raises(TableError, match=r"t\.parquet: expected one column 'image', found 2 of that name"):
        tables.describe(Storage(), str(tmp_path / "t.parquet"), "")
    place = str(tmp_path / "p.parquet")
    pq.write_table(pa.table([path, image, path, path], names=["path", "image", "path", "key"]), place)
    assert tables.describe(Storage(), place, "") == Table("image", False, [1])
    assert photos(tables, place) == [Photo("x", b"a")]


def test_what_cannot_be_read_is_named_and_the_next_is_read(tables, tmp_path):
    (tmp_path / "bad.parquet").write_bytes(b"PAR1" * 100)
    good = write(tmp_path / "t.parquet", {"image": [b"a"]})
    for place in (tmp_path / "bad.parquet", tmp_path / "gone.parquet", tmp_path):
        with pytest.raises(TableError, match=f"^{place}: [^/]+$"):
            tables.describe(Storage(), str(place), "")
        assert photos(tables, good) == [Photo("", b"a")]


def test_a_damaged_row_group_leaves_the_others(tables, tmp_path):
    place = write(tmp_path / "t.parquet", {"image": [b"a" * 500, b"b" * 500]}, row_group_size=1, compression="zstd")
    start = pq.read_metadata(place).row_group(0).column(0).dictionary_page_offset
    content = bytearray((tmp_path / "t.parquet").read_bytes())
    content[start : start + 8] = b"\xff" * 8
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(TableError, match=r"t\.parquet: "):
        photos(tables, place)
    assert photos(tables, place, 1) == [Photo("", b"b" * 500)]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals to end it with")
def test_a_process_that_is_lost_is_told_and_replaced(tables, tmp_path):
    place = write(tmp_path / "t.parquet", {"image": [b"a" * 1_000_000] * 9})
    rows = tables.photos(Storage(), place, "image", 0)
    assert next(rows).content == b"a" * 1_000_000
    os.kill(tables._process.pid, signal.SIGKILL)
    with pytest.raises(TableError, match=r"t\.parquet: the process that read it was lost \(status -9\)"):
        list(rows)
    assert len(photos(tables, place)) == 9


def test_rows_that_nobody_wants_do_not_come_with_the_next_request(tables, tmp_path):
    place = write(tmp_path / "t.parquet", {"image": [b"a", b"b"]})
    rows = tables.photos(Storage(), place, "image", 0)
    next(rows)
    rows.close()
    assert photos(tables, place) == [Photo("", b"a"), Photo("", b"b")]


def test_the_process_ends_with_what_it_reads_for(tmp_path):
    tables = Tables()
    photos(tables, write(tmp_path / "t.parquet", {"image": [b"a"]}))
    process = tables._process
    del tables
    assert process.poll() is not None


def answers(place, monkeypatch, **limits):
    for name, value in limits.items():
        monkeypatch.setattr(table_process, name, value)
    request = {"options": "", "base": "", "place": place, "column": "image", "group": 0}
    tables = table_process.Tables()
    try:
        return [(line, content) for line, content in tables.answer(request)]
    finally:
        tables.close()


def test_a_photo_that_is_too_large_is_told_and_the_next_comes(monkeypatch, tmp_path):
    place = write(tmp_path / "t.parquet", {"image": [b"a" * 11, b"b" * 10]})
    (large, nothing), (_, content) = answers(place, monkeypatch, PHOTO_BYTES=10)
    assert (large["missing"], nothing) == ("the photo is larger than 10 bytes (11 bytes)", None)
    assert content.to_pybytes() == b"b" * 10


def test_a_row_group_that_unpacks_to_too_much_is_given_up(monkeypatch, tmp_path):
    place = write(tmp_path / "t.parquet", {"image": [b"a" * 1000] * 100})
    assert len(answers(place, monkeypatch)) == 100
    with pytest.raises(table_process.CaptionerError, match="unpacks to more than"):
        answers(place, monkeypatch, UNPACKED_BYTES=1000, UNPACKED_RATIO=1)


def test_a_row_group_of_too_many_rows_is_refused(monkeypatch, tmp_path):
    place = write(tmp_path / "t.parquet", {"image": [b"a"] * 11})
    with pytest.raises(table_process.CaptionerError, match="a row group of 11 rows, expected up to 10"):
        answers(place, monkeypatch, GROUP_ROWS=10)


def test_a_table_that_takes_too_long_ends_the_process(monkeypatch):
    ended = []

    def end(status):
        ended.append(status)
        raise SystemExit

    monkeypatch.setattr(table_process, "TABLE_SECONDS", 0)
    monkeypatch.setattr(table_process.os, "_exit", end)
    last = [time.process_time() - 1]
    with pytest.raises(SystemExit):
        table_process._watch(last, float("inf"))
    monkeypatch.setattr(table_process, "TABLE_SECONDS", 1000)
    with pytest.raises(SystemExit):
        table_process._watch(last, 1)
    assert ended == [table_process.TOO_LONG, table_process.TOO_LARGE]
