import json
from dataclasses import replace

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow", reason="no PyArrow here: pip install -r requirements-cluster.txt")

import pyarrow.parquet as pq

from captioner.bulk.output import SCHEMA, Output, Row
from captioner.bulk.plan import Block
from captioner.bulk.storage import Storage
from captioner.errors import CaptionerError, PhotoError, UsageError
from captioner.runtime.caption import Candidate, Caption

DOG = Candidate(("a", "dog"), -1.5, np.zeros((2, 4)))
ROWS = [
    Row("a.jpg", Caption(DOG.words, DOG.score, DOG.attention, (DOG,))),
    Row("강\n.jpg", PhotoError("the file is empty")),
]
KNOWN = replace(DOG, confidence=0.5), Candidate(("a", "cat"), -1.75, DOG.attention, confidence=0.625)
SURE = [
    Row("b.jpg", Caption(DOG.words, DOG.score, DOG.attention, KNOWN, familiar=True, confidence=0.5)),
    Row("c.jpg", Caption(DOG.words, DOG.score, DOG.attention, KNOWN, familiar=False, confidence=0.5), "odd"),
]


@pytest.fixture(params=["parquet", "json"])
def output(request, tmp_path):
    return Output(str(tmp_path / "out"), Storage(), request.param)


def test_what_is_written_is_found(output):
    block = Block(0, ("a.jpg", "강\n.jpg"))
    assert not output.holds(block)
    output.begin({"format": output.style}, overwrite=False)
    output.check({"format": "any"}, overwrite=False)  # as long as there is no part
    assert output.write(block, ROWS).good == 1
    assert output.holds(block)
    assert output.parts() == {block.digest: output.part(block)}
    assert list(output.paths()) == [["a.jpg", "강\n.jpg"]]
    assert output.tally(block).errors == {"the file is empty": 1}


def test_other_settings_are_refused_and_the_same_go_on(output):
    output.begin({"num_captions": 1, "model": None}, overwrite=False)
    output.write(Block(0, ("a.jpg",)), ROWS)
    output.check({"num_captions": 1, "model": None}, overwrite=False)
    with pytest.raises(UsageError, match=r"num_captions was 1, now 3\); use the same settings, .*--overwrite"):
        output.check({"num_captions": 3, "model": None}, overwrite=False)
    output.check({"num_captions": 3, "model": None}, overwrite=True)
    assert output.parts()


def test_parts_of_a_version_with_other_columns_are_refused(output):
    before = ["path", "caption", "score", "candidates", "error", "note"]
    for settings in ({"num_captions": 1}, {"num_captions": 1, "columns": before}):
        output.begin(settings, overwrite=True)
        output.write(Block(0, ("a.jpg",)), ROWS)
        with pytest.raises(UsageError) as caught:
            output.check({"num_captions": 1, "columns": SCHEMA.names}, overwrite=False)
        assert str(caught.value) == (
            f"--output {output.place}: holds captions made with other settings (by another version, without the "
            "columns confidence, familiar); name another folder, or give --overwrite"
        )
    output.begin({"columns": [*SCHEMA.names, "mood"]}, overwrite=True)
    output.write(Block(0, ("a.jpg",)), ROWS)
    with pytest.raises(UsageError, match=r"columns was \[.*'mood'\], now \[.*\]\); name another"):
        output.check({"columns": SCHEMA.names}, overwrite=False)


def read(output, block) -> list[dict]:
    content = output.storage.read(output.part(block))
    if output.style == "json":
        return [json.loads(line) for line in content.splitlines()]
    return pq.read_table(pa.BufferReader(content)).to_pylist()


def test_how_sure_a_caption_is_stands_beside_its_score(output):
    block = Block(0, ("a.jpg",))
    output.write(block, [*SURE, *ROWS])
    sure, unfamiliar, unknown, broken = read(output, block)
    assert list(sure) == SCHEMA.names
    assert (sure["caption"], sure["score"], sure["confidence"], sure["familiar"]) == ("a dog", -1.5, 0.5, True)
    assert sure["candidates"] == [
        {"caption": "a dog", "score": -1.5, "confidence": 0.5},
        {"caption": "a cat", "score": -1.75, "confidence": 0.625},
    ]
    assert (unfamiliar["caption"], unfamiliar["confidence"], unfamiliar["familiar"]) == ("a dog", 0.5, False)
    assert (unknown["caption"], unknown["confidence"], unknown["familiar"]) == ("a dog", None, None)
    assert unknown["candidates"] == [{"caption": "a dog", "score": -1.5, "confidence": None}]
    assert (broken["caption"], broken["confidence"], broken["familiar"]) == (None, None, None)


UNFAMILIAR = "left out: the photo is unlike those that the model learned from; odd"


@pytest.mark.parametrize(
    ("least", "captions", "note"),
    [(0.0, ["a dog", "a cat"], None), (0.6, ["a cat"], None), (0.7, [], "left out: less sure than 0.7 (0.625)")],
)
def test_captions_that_are_not_sure_enough_are_left_out(output, least, captions, note):
    output, block = replace(output, min_confidence=least), Block(0, ("a.jpg",))
    tally = output.write(block, [*SURE, ROWS[1]])
    sure, unfamiliar, broken = read(output, block)
    assert [each["caption"] for each in sure["candidates"]] == captions
    assert sure["caption"] == (captions[0] if captions else None)
    assert (sure["score"] is None, sure["confidence"] is None) == (not captions, not captions)
    assert (sure["note"], sure["error"], sure["familiar"]) == (note, None, True)
    assert (unfamiliar["caption"], unfamiliar["candidates"], unfamiliar["familiar"]) == (None, [], False)
    assert (unfamiliar["note"], unfamiliar["error"]) == (UNFAMILIAR, None)
    assert broken["error"] == "the file is empty"
    assert tally == output.tally(block)
    assert (tally.good, tally.left_out.total(), tally.notes["odd"]) == (bool(captions), 2 - bool(captions), 1)


def test_overwrite_removes_our_files_alone(output, tmp_path):
    output.begin({"n": 1}, overwrite=False)
    output.write(Block(0, ("a.jpg",)), ROWS)
    (tmp_path / "out" / "mine.txt").touch()
    output.begin({"n": 2}, overwrite=True)
    assert output.parts() == {}
    assert (tmp_path / "out" / "mine.txt").exists()


def test_a_file_is_refused(output, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(UsageError, match="is a file; expected a folder"):
        output.check({}, overwrite=False)


def test_parts_of_unknown_making_are_refused(output):
    output.write(Block(0, ("a.jpg",)), ROWS)
    for content in (None, b"", b"[]", b"\xff"):
        if content is not None:
            output.storage.write(output.at("_captioner.json"), content)
        with pytest.raises(UsageError, match=r"_captioner\.json, .* is missing or damaged"):
            output.check({"format": output.style}, overwrite=False)


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_part_is_named(output, damage):
    block = Block(0, ("a.jpg",))
    output.write(block, ROWS)
    content = bytearray(output.storage.read(output.part(block)))
    content[8 if output.style == "parquet" else 0] ^= 1  # of the first column's page
    output.storage.write(output.part(block), bytes(content) if damage == "flipped" else bytes(content[:-9]))
    with pytest.raises(CaptionerError, match=r"out/part-00000000-\w+\.\w+ is damaged; delete it and run the same"):
        list(output.paths())


def test_a_second_run_into_a_local_folder_is_refused_and_an_object_store_has_no_locks(output):
    with output.alone(), pytest.raises(UsageError, match=r"out: another bulk run is writing there"), output.alone():
        pytest.fail("it was not refused")
    with output.alone():
        pass
    store = Output("s3://museum/captions", Storage(), "json")
    with store.alone(), store.alone():
        pass
