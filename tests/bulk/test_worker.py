"""A worker in this process: what it writes is what the captioner says."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow", reason="no PyArrow here: pip install -r requirements-cluster.txt")

import pyarrow.parquet as pq

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
            assert (row["caption"], row["score"], row["candidates"]) == (None, None, [])
        else:
            check(row, captioner, row["path"])
    errors = {Path(row["path"]).name: row["error"] for row in rows if row["error"]}
    assert errors == {
        "broken.jpg": "not an image that can be read (expected JPEG, PNG, GIF, WebP, BMP or TIFF)",
        "gone.jpg": "no such file",
    }
    assert tally.errors == {"not an image that can be read": 1, "no such file": 1}
    assert tally.good == 7


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


@pytest.mark.parametrize("beside", ["path", "key", None, "record"])
def test_a_table_with_bytes(work, captioner, photos, tmp_path, beside):
    paths = sorted(photos.rglob("*.png"))
    contents, names = [path.read_bytes() for path in paths], [path.name for path in paths]
    if beside == "record":
        columns = {"image": [{"bytes": content, "path": name} for content, name in zip(contents, names, strict=True)]}
    else:
        columns = {"image": contents, **({beside: names} if beside else {})}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=2)
    place = str(tmp_path / "t.parquet")
    rows, _ = work(Block(0, shard=Shard(place, "image", (1, 3), 2, 4)))
    assert [row["path"] for row in rows] == (names[2:6] if beside else [f"{place}#{row}" for row in range(2, 6)])
    for row, path in zip(rows, paths[2:6], strict=True):
        check(row, captioner, path)


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
