import os
import socket
import sys

import pytest

pa = pytest.importorskip("pyarrow", reason="no PyArrow here: pip install -r requirements-cluster.txt")

import pyarrow.parquet as pq

from captioner.bulk import inputs
from captioner.bulk.columns import photo_column
from captioner.bulk.inputs import PHOTOS_A_SHARD, Inputs, Shard
from captioner.bulk.storage import Storage
from captioner.errors import CaptionerError
from captioner.photos.finding import find_photos


def found(*places, column="", leave_out="nowhere"):
    complaints = []
    items = list(Inputs([str(place) for place in places], Storage(), column, str(leave_out), complaints.append))
    return items, complaints


def test_a_folder_gives_the_photos_that_predict_finds(photos):
    items, complaints = found(photos)
    assert sorted(items) == sorted(map(str, find_photos([str(photos)])[0]))
    assert complaints == []


def test_the_output_is_no_input(photos):
    items, _ = found(photos, leave_out=photos / "a")
    assert all("/b/c/" in name for name in items)
    assert len(items) == 4


def test_a_list_gives_its_lines(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"b.jpg\r\n\ns3://museum/a b.jpg\n\xff.jpg")
    assert found(tmp_path / "list.txt") == (["b.jpg", "s3://museum/a b.jpg", "\udcff.jpg"], [])


def test_a_list_may_have_the_mark_of_utf8_but_none_of_utf16(tmp_path):
    (tmp_path / "list.txt").write_bytes("\ufeffa.jpg\n\ufeffb.jpg".encode())
    assert found(tmp_path / "list.txt") == (["a.jpg", "\ufeffb.jpg"], [])
    (tmp_path / "list.txt").write_bytes("a.jpg\n".encode("utf-16"))
    complaint = f"{tmp_path}/list.txt: expected a list in UTF-8, found UTF-16; save it as UTF-8"
    assert found(tmp_path / "list.txt") == ([], [complaint])


@pytest.mark.skipif(sys.platform != "linux", reason="names are text on other systems")
def test_names_that_are_no_text_are_looked_up(tmp_path):
    (tmp_path / "a\udcff").mkdir()
    (tmp_path / "a\udcff" / "b.jpg").touch()
    assert found(tmp_path / "a\udcff") == ([f"{tmp_path}/a\udcff/b.jpg"], [])
    assert found(tmp_path / "\udcff.jpg") == ([], [f"{tmp_path}/\udcff.jpg: no such file"])


def test_an_output_in_a_store_of_its_own_is_not_asked_for(photos):
    items, complaints = found(photos, leave_out="s3://photos/2026")  # whose options the inputs do not have
    assert len(items) == 8
    assert complaints == []


def test_a_tar_file_is_a_shard(tmp_path):
    (tmp_path / "00.tar").touch()
    assert found(tmp_path) == ([Shard(f"{tmp_path}/00.tar")], [])


def test_a_column_of_paths_gives_them(tmp_path):
    pq.write_table(pa.table({"id": [1, 2, 3], "path": ["a.jpg", None, "b.jpg"]}), tmp_path / "t.parquet")
    assert found(tmp_path / "t.parquet") == (["a.jpg", "b.jpg"], [])


def test_a_column_of_bytes_gives_whole_row_groups(tmp_path):
    table = pa.table({"image": [b"photo"] * 700, "label": list(range(700))})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=100)
    place = str(tmp_path / "t.parquet")
    items, _ = found(place)
    assert items == [
        Shard(place, "image", (0, 3), 0, 300),
        Shard(place, "image", (3, 6), 300, 300),
        Shard(place, "image", (6, 7), 600, 100),
    ]
    assert all(each.rows >= PHOTOS_A_SHARD for each in items[:-1])


@pytest.mark.parametrize(
    ("schema", "wanted", "chosen"),
    [
        ({"text": pa.string(), "jpg": pa.binary()}, "", "jpg"),
        ({"image": pa.struct({"bytes": pa.binary(), "path": pa.string()}), "path": pa.string()}, "", "image"),
        ({"image": pa.int64(), "picture": pa.large_binary()}, "", "picture"),
        ({"image": pa.binary(), "small": pa.binary()}, "small", "small"),
    ],
)
def test_the_likeliest_column_is_chosen(schema, wanted, chosen):
    assert photo_column(pa.schema(schema), wanted, "t.parquet") == chosen


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [({"a": pa.string(), "b": pa.binary()}, ""), ({"a": pa.int64()}, ""), ({"image": pa.binary()}, "photo")],
)
def test_without_a_column_the_columns_are_told(schema, wanted):
    name, kind = next(iter(schema.items()))
    with pytest.raises(CaptionerError, match=rf"^t\.parquet: .*found {name} \({kind}\).*--column"):
        photo_column(pa.schema(schema), wanted, "t.parquet")


def test_what_is_not_there_or_damaged_is_told_and_the_rest_goes_on(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "t.parquet").write_bytes(b"no table")
    items, complaints = found(tmp_path / "gone.jpg", tmp_path / "empty", tmp_path / "t.parquet", photos)
    assert len(items) == 8
    assert [complaint.split(": ")[0] for complaint in complaints] == [
        str(tmp_path / name) for name in ("gone.jpg", "empty", "t.parquet")
    ]


def test_a_table_without_photos_is_told_and_the_rest_goes_on(photos, tmp_path):
    pq.write_table(pa.table({"id": [1, 2]}), photos / "a" / "0.parquet")
    pq.write_table(pa.table([pa.array([b"a"])] * 2, names=["image", "image"]), photos / "a" / "1.parquet")
    items, complaints = found(photos)
    assert len(items) == 8
    assert [complaint.split(",")[0] for complaint in complaints] == [
        f"{photos}/a/0.parquet: expected a column with the bytes or the paths of photos",
        f"{photos}/a/1.parquet: expected one column 'image'",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="there are none on Windows")
def test_pipes_sockets_and_devices_are_told_and_the_rest_goes_on(photos, tmp_path):
    os.mkfifo(photos / "a" / "x.parquet")
    os.mkfifo(photos / "a" / "x.tar")
    os.mkfifo(tmp_path / "list.txt")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s.jpg"))
    items, complaints = found(tmp_path / "list.txt", tmp_path / "s.jpg", "/dev/zero", photos)
    assert len([item for item in items if isinstance(item, str)]) == 8
    assert [item for item in items if isinstance(item, Shard)] == [Shard(f"{photos}/a/x.tar")]  # a row of its part
    places = (tmp_path / "list.txt", tmp_path / "s.jpg", "/dev/zero", photos / "a" / "x.parquet")
    assert complaints == [f"{place}: not a regular file" for place in places]


def test_an_address_of_the_web_is_told_and_the_rest_goes_on(photos):
    items, (complaint,) = found("https://example.org/a.jpg", photos)
    assert len(items) == 8
    assert complaint.startswith("https://example.org/a.jpg: an address of the web, expected a path, or a URL of an obj")


def test_a_line_that_is_too_long_is_told_and_the_next_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "NAME_BYTES", 8)
    (tmp_path / "list.txt").write_bytes(b"a.jpg\n" + b"x" * 30 + b"\n1234567\n" + b"y" * 8 + b"\nb.jpg\n" + b"z" * 99)
    items, complaints = found(tmp_path / "list.txt")
    assert items == ["a.jpg", "1234567", "b.jpg"]
    told = "is longer than 8 bytes, expected a path or URL a line"
    assert complaints == [f"{tmp_path}/list.txt: line {number} {told}" for number in (2, 4, 6)]


def test_paths_that_are_too_long_or_no_text_in_a_column(tmp_path):
    names = pa.array([b"a.jpg", b"x" * 40_000, b"\xff.jpg", b""]).view(pa.string())
    pq.write_table(pa.table({"path": names}), tmp_path / "t.parquet")
    items, complaints = found(tmp_path / "t.parquet")
    assert items == ["a.jpg", "\udcff.jpg"]
    assert complaints == [f"{tmp_path}/t.parquet: a path in column 'path' is longer than 32,768 bytes"]


def test_photos_that_are_not_read_are_counted_by_kind(tmp_path):
    for name in ("a.jpg", "b.jxl", "c/d.jxl", "c/e.NEF", "f.mov", ".g.jxl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    items, complaints = found(tmp_path)
    assert items == [f"{tmp_path}/a.jpg"]
    assert complaints == [
        f"{tmp_path}: 2 JPEG XL photos not read; save them as JPEG or PNG",
        f"{tmp_path}: 1 camera raw photo not read; save it as JPEG or PNG",
    ]
