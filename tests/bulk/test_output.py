import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="no PyArrow here: pip install -r requirements-cluster.txt")

from captioner.bulk.output import Output, Row
from captioner.bulk.plan import Block
from captioner.bulk.storage import Storage
from captioner.data.photos import PhotoError
from captioner.errors import CaptionerError, UsageError
from captioner.runtime.caption import Candidate, Caption

DOG = Candidate(("a", "dog"), -1.5, np.zeros((2, 4)))
ROWS = [
    Row("a.jpg", Caption(DOG.words, DOG.score, DOG.attention, (DOG,))),
    Row("강\n.jpg", PhotoError("the file is empty")),
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
    with pytest.raises(UsageError, match=r"num_captions was 1, now 3\); say the same, .*--overwrite"):
        output.check({"num_captions": 3, "model": None}, overwrite=False)
    output.check({"num_captions": 3, "model": None}, overwrite=True)
    assert output.parts()


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
        with pytest.raises(UsageError, match=r"holds parts without _captioner\.json, .* or it is damaged"):
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
