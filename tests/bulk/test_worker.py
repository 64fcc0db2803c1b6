"""A worker in this process: what it writes is what the captioner says."""

import io
import json
import os
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pa = pytest.importorskip("pyarrow", reason="no PyArrow here: pip install -r requirements-cluster.txt")

import pyarrow.parquet as pq

from captioner.bulk import worker
from captioner.bulk.inputs import Inputs, Shard
from captioner.bulk.output import Output
from captioner.bulk.plan import Block
from captioner.bulk.storage import Storage
from captioner.bulk.worker import Worker
from captioner.data.feature_parts import FeatureParts


@pytest.fixture
def work(captioner, tmp_path):
    """Returns a function that captions a block and returns the part's rows by their paths."""

    def work(block, style="parquet", base=tmp_path):
        output = Output(str(tmp_path / "out"), Storage(), style)
        tally = Worker(captioner, Storage(base=str(base)), output)(block)
        part = Path(output.part(block))
        if style == "json":
            rows = [json.loads(line) for line in part.read_text().splitlines()]
        else:
            rows = pq.read_table(part).to_pylist()
        assert tally.photos == len(rows)
        return rows, tally

    return work


def check(row, captioner, path):
    caption = captioner(path)
    assert row["caption"] == caption.text
    assert row["score"] == pytest.approx(caption.score, abs=1e-6)
    assert [each["caption"] for each in row["candidates"]] == [each.text for each in caption.candidates]
    assert row["error"] is None


@pytest.mark.parametrize("style", ["parquet", "json"])
def test_each_photo_becomes_a_row_in_its_order(work, captioner, photos, style):
    names = sorted(str(path) for path in photos.rglob("*.*") if path.suffix != ".txt")
    rows, tally = work(Block(0, (*names, "gone.jpg")), style)
    assert [row["path"] for row in rows] == [*names, "gone.jpg"]
    for row in rows:
        if row["path"].endswith(("broken.jpg", "gone.jpg")):
            assert (row["caption"], row["score"], row["confidence"], row["candidates"]) == (None, None, None, [])
        else:
            check(row, captioner, row["path"])
    errors = {Path(row["path"]).name: row["error"] for row in rows if row["error"]}
    assert errors == {
        "broken.jpg": "not an image that can be read (expected JPEG, PNG, GIF, WebP, AVIF, HEIC, BMP or TIFF)",
        "gone.jpg": "no such file",
    }
    assert tally.errors == {"not an image that can be read": 1, "no such file": 1}
    assert tally.good == 7


NO_END = "the file lacks its end marker, but no pixel is missing"


@pytest.fixture
def odd(photos):
    """A JPEG that lacks its end marker."""
    with Image.open(photos / "a" / "0.png") as photo:
        photo.save(photos / "whole.jpg")
    (photos / "odd.jpg").write_bytes((photos / "whole.jpg").read_bytes().removesuffix(b"\xff\xd9"))
    return photos / "odd.jpg"


@pytest.mark.parametrize("style", ["parquet", "json"])
def test_what_is_odd_about_a_photo_stands_in_its_row_and_is_counted(work, captioner, odd, tmp_path, style):
    shard = tmp_path / "odd.tar"
    with tarfile.open(shard, "w") as archive:
        archive.add(odd.with_name("whole.jpg"), "whole.jpg")
        archive.add(odd, "odd.jpg")
    for block in (Block(0, (str(odd.with_name("whole.jpg")), str(odd))), Block(1, shard=Shard(str(shard)))):
        (whole, without_end), tally = work(block, style)
        assert (whole["note"], without_end["note"]) == (None, NO_END)
        check(without_end, captioner, odd)
        assert (tally.notes, tally.errors, tally.good) == ({NO_END: 1}, {}, 2)
        assert work(block, style)[1] == tally  # as it is read from the part


def test_features_of_an_odd_photo_tell_it(captioner, odd, tmp_path):
    output = Output(str(tmp_path / "out"), Storage(), "features")
    block = Block(0, (str(odd),))
    assert Worker(captioner, Storage(), output)(block).notes == {NO_END: 1}
    assert json.loads(Path(output.part(block)).read_text())["note"] == NO_END
    assert output.tally(block).notes == {NO_END: 1}


def test_relative_names_stay_relative(work, captioner, photos):
    rows, _ = work(Block(0, ("photos/a/0.png",)))
    assert [row["path"] for row in rows] == ["photos/a/0.png"]
    check(rows[0], captioner, photos / "a" / "0.png")


def test_photos_behind_urls(work, captioner, photos):
    root = f"file://{photos}"
    names = (f"{root}/a/0.png", f"{root}/gone.png", f"{root}/b/c/5.png", f"{root}/a/broken.jpg")
    rows, _ = work(Block(0, names))
    assert [row["path"] for row in rows] == list(names)
    check(rows[0], captioner, photos / "a" / "0.png")
    check(rows[2], captioner, photos / "b" / "c" / "5.png")
    assert rows[1]["error"] == "no such file"
    assert rows[3]["error"].startswith("not an image")


@pytest.mark.parametrize("name", ["00.tar", "00.tar.gz"])
def test_a_tar_shard(work, captioner, photos, tmp_path, name):
    with tarfile.open(tmp_path / name, "w:gz" if name.endswith("gz") else "w") as archive:
        for path in sorted(photos.rglob("*.*")):
            archive.add(path, path.name)
    rows, tally = work(Block(0, shard=Shard(str(tmp_path / name))))
    assert tally.photos == 8
    for row in rows:
        place, _, member = row["path"].rpartition("/")
        assert place == str(tmp_path / name)
        if member != "broken.jpg":
            check(row, captioner, next(photos.rglob(member)))


@pytest.mark.parametrize(
    ("where", "within", "whole"),
    [("cut", 600, 2), ("cut", 100, 2), ("cut", 0, 2), ("flipped", 100, 2)],
    ids=["in a photo", "in a header", "between photos", "a bit of a header"],
)
def test_a_shard_that_is_damaged_gives_what_it_has_and_an_error(work, photos, tmp_path, where, within, whole):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in sorted(photos.rglob("*.png")):
            tar.add(path, path.name)
    content = bytearray(archive.getvalue())
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        place = tar.getmembers()[whole].offset + within
    content[place] ^= 1
    (tmp_path / "bad.tar").write_bytes(content[:place] if where == "cut" else content)
    rows, tally = work(Block(0, shard=Shard(str(tmp_path / "bad.tar"))))
    assert [row["caption"] is None for row in rows] == [False] * whole + [True]
    assert rows[-1]["path"] == str(tmp_path / "bad.tar")
    assert tally.errors == {"the shard cannot be read to its end": 1}


@pytest.mark.parametrize("name_field", ["path", "key", None, "record"])
def test_a_table_with_bytes(work, captioner, photos, tmp_path, name_field):
    paths = sorted(photos.rglob("*.png"))
    contents, names = [path.read_bytes() for path in paths], [path.name for path in paths]
    if name_field == "record":
        columns = {"image": [{"bytes": content, "path": name} for content, name in zip(contents, names, strict=True)]}
    else:
        columns = {"image": contents, **({name_field: names} if name_field else {})}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=2)
    place = str(tmp_path / "t.parquet")
    rows, _ = work(Block(0, shard=Shard(place, "image", (1, 3), 2, 4)))
    assert [row["path"] for row in rows] == (names[2:6] if name_field else [f"{place}#{row}" for row in range(2, 6)])
    for row, path in zip(rows, paths[2:6], strict=True):
        check(row, captioner, path)


def test_a_photo_that_is_too_large_is_a_row_and_the_rest_goes_on(work, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "PHOTO_BYTES", 1000)
    monkeypatch.setattr(worker, "FETCHED_BYTES", 100)
    (photos / "a" / "1.png").write_bytes(b"x" * 1001)
    names = [path.name for path in sorted((photos / "a").glob("*.png"))]
    with tarfile.open(tmp_path / "00.tar", "w") as archive:
        for name in names:
            archive.add(photos / "a" / name, name)
    in_tar, _ = work(Block(0, shard=Shard(f"{tmp_path}/00.tar")))
    by_url, _ = work(Block(1, tuple(f"file://{photos}/a/{name}" for name in names)))
    assert [row["path"] for row in in_tar] == [f"{tmp_path}/00.tar/{name}" for name in names]
    assert [row["error"] for row in in_tar] == [None, "the photo is larger than 1,000 bytes (1,001 bytes)", None]
    assert [row["error"] for row in by_url] == [None, "the photo is larger than 1,000 bytes", None]


@pytest.mark.skipif(sys.platform == "win32", reason="there are none on Windows")
def test_pipes_are_rows(work, tmp_path):
    os.mkfifo(tmp_path / "x.tar")
    rows, _ = work(Block(0, shard=Shard(f"{tmp_path}/x.tar")))
    assert [row["error"] for row in rows] == ["the shard cannot be read to its end (not a regular file)"]
    rows, _ = work(Block(1, shard=Shard(f"{tmp_path}/x.tar", "image", (0, 1))))
    assert [row["error"] for row in rows] == ["the shard cannot be read (not a regular file)"]
    rows, _ = work(Block(2, (f"file://{tmp_path}/x.tar",)))
    assert [row["error"] for row in rows] == ["not a regular file"]


def test_an_address_of_the_web_is_a_row(work, captioner, photos):
    rows, _ = work(Block(0, ("https://example.org/a.jpg", str(photos / "a" / "0.png"))))
    assert rows[0]["error"].startswith("an address of the web, expected a path")
    check(rows[1], captioner, photos / "a" / "0.png")


def test_a_row_group_that_is_damaged_is_a_row_and_the_next_is_read(work, captioner, photos, tmp_path):
    paths = sorted(photos.rglob("*.png"))[:4]
    table, place = pa.table({"image": [path.read_bytes() for path in paths]}), tmp_path / "t.parquet"
    pq.write_table(table, place, row_group_size=2)
    start = pq.read_metadata(place).row_group(0).column(0).dictionary_page_offset
    content = bytearray(place.read_bytes())
    content[start : start + 8] = b"\xff" * 8
    place.write_bytes(content)
    rows, tally = work(Block(0, shard=Shard(str(place), "image", (0, 2), 0, 4)))
    assert [row["path"] for row in rows] == [f"{place}#0", f"{place}#2", f"{place}#3"]
    assert tally.errors == {"the shard cannot be read from here to the end of its row group": 1}
    for row, path in zip(rows[1:], paths[2:], strict=True):
        check(row, captioner, path)


def test_a_table_that_has_changed_since_it_was_planned_is_a_row(work, tmp_path):
    pq.write_table(pa.table({"image": [b"a"]}), tmp_path / "t.parquet")
    rows, _ = work(Block(0, shard=Shard(f"{tmp_path}/t.parquet", "image", (0, 2), 0, 4)))
    assert [row["error"] for row in rows] == ["the shard cannot be read (it has changed since the work was planned)"]


def test_photos_are_taken_in_groups_that_fit_into_memory(monkeypatch):
    monkeypatch.setattr(worker, "GROUP_BYTES", 10)
    sources = iter([(str(number), b"x" * size) for number, size in enumerate([4, 4, 4, 30, 1, 1])])
    groups = iter(lambda: worker._group(sources), [])
    assert [[name for name, _ in group] for group in groups] == [["0", "1", "2"], ["3"], ["4", "5"]]


def test_all_shards_of_a_table_give_all_rows_once(work, photos, tmp_path):
    contents = [path.read_bytes() for path in sorted(photos.rglob("*.png"))] * 50
    pq.write_table(pa.table({"image": contents}), tmp_path / "t.parquet", row_group_size=100)
    place = str(tmp_path / "t.parquet")
    shards = list(Inputs([place], Storage(), "", "", print))
    rows = [row for number, shard in enumerate(shards) for row in work(Block(number, shard=shard))[0]]
    assert [row["path"] for row in rows] == [f"{place}#{number}" for number in range(350)]


def test_a_part_that_is_there_stays_as_it_is(work, photos, tmp_path):
    block = Block(3, (str(photos / "a" / "0.png"), "gone.jpg"))
    _, first = work(block)
    part = next((tmp_path / "out").iterdir())
    before = part.stat().st_mtime_ns
    _, again = work(block)
    assert first == again
    assert part.stat().st_mtime_ns == before


def test_features_are_what_the_encoder_sees(captioner, photos, tmp_path):
    output = Output(str(tmp_path / "out"), Storage(), "features")
    output.begin({"format": "features", "encoder": {}, "shape": [4, 3]}, overwrite=False)
    names = [*sorted(str(path) for path in photos.rglob("*.*") if path.suffix != ".txt"), "gone.jpg"]
    archive = tmp_path / "00.tar"
    with tarfile.open(archive, "w") as tar:
        for path in sorted(photos.rglob("*.png")):
            tar.add(path, f"in/{path.name}")
    tallies = [
        Worker(captioner, Storage(), output)(block)
        for block in (Block(0, tuple(names)), Block(1, shard=Shard(str(archive))))
    ]
    assert [(tally.photos, tally.good) for tally in tallies] == [(9, 7), (7, 7)]
    assert sorted(path for paths in output.paths() for path in paths) == sorted(
        [*names, *(f"{archive}/in/{path.name}" for path in photos.rglob("*.png"))]
    )
    parts = FeatureParts(tmp_path / "out")
    sources = [Path(name) for name in names if name.endswith(".png")]
    rows, bad = parts.find([*sources, Path("gone.jpg"), *(archive / "in" / path.name for path in sources)])
    assert bad == {7: "gone.jpg: no such file"}
    seen = [np.asarray(found) for _, found in captioner.features(sources)]
    np.testing.assert_array_equal(parts[rows[:7]], np.float16(seen))
    np.testing.assert_array_equal(parts[rows[8:]], np.float16(seen))
