import re

import pytest

pytest.importorskip("pyarrow", reason="no PyArrow here: pip install -r requirements-cluster.txt")

from captioner.bulk.done_names import DoneNames
from captioner.bulk.inputs import Shard
from captioner.bulk.plan import PHOTOS_A_BLOCK, Block, Plan, cut
from captioner.bulk.run import _tasks
from captioner.bulk.storage import Storage
from captioner.errors import CaptionerError

NAMES = [f"{number}.jpg" for number in range(2 * PHOTOS_A_BLOCK + 5)]


def blocks(items, done=(), shards=()):
    seen = DoneNames()
    seen.add(list(done))
    return list(cut(items, seen, lambda block: block.shard in shards))


def test_names_are_cut_in_their_order_and_shards_stand_alone():
    shard = Shard("00.tar")
    found = blocks([*NAMES[:3], shard, *NAMES[3:]])
    assert [len(block.names) for block in found] == [3, 0, PHOTOS_A_BLOCK, PHOTOS_A_BLOCK, 2]
    assert [block.number for block in found] == list(range(5))
    assert sum((block.names for block in found), ()) == tuple(NAMES)
    assert found[1].shard == shard


def test_what_is_done_is_left_out_and_the_other_parts_keep_their_names():
    first = blocks(NAMES)
    again = blocks(NAMES, done=first[1].names)
    assert [block.name for block in again] == [first[0].name, first[2].name]


def test_photos_that_came_later_are_cut_and_nothing_is_done_twice():
    first = blocks(NAMES)
    later = blocks(["0a.jpg", *NAMES], done=first[0].names + first[1].names)
    assert sorted(sum((block.names for block in later), ())) == sorted(("0a.jpg", *first[2].names))
    assert not {block.name for block in later} & {block.name for block in first[:2]}


def test_a_name_that_comes_twice_is_taken_once():
    assert [block.names for block in blocks(["a.jpg", "b.jpg", "a.jpg"])] == [("a.jpg", "b.jpg")]


def test_shards_that_are_done_are_left_out():
    one, other = Shard("t.parquet", "image", (0, 1)), Shard("t.parquet", "image", (1, 2))
    assert [block.shard for block in blocks([one, other], shards=[one])] == [other]
    assert Block(0, shard=one).digest != Block(0, shard=other).digest


def test_a_shard_that_comes_twice_is_taken_once():
    one, other = Shard("1.tar"), Shard("2.tar")
    assert [block.shard for block in blocks([one, other, one])] == [one, other]


def test_a_part_is_named_after_its_place_and_its_photos():
    block = Block(12, ("a.jpg", "b.jpg"))
    assert re.fullmatch(r"part-00000012-[0-9a-f]{16}", block.name)
    assert Block(12, ("a.jpg", "b.jpg")).name == block.name
    assert Block(12, ("a.jpgb.jpg",)).name != block.name


def test_a_plan_is_read_as_it_was_written(tmp_path):
    plan = Plan(str(tmp_path / "plan"), Storage())
    written = [Block(0, ("a\n.jpg", "\udcff.jpg", "강아지.jpg")), Block(1, shard=Shard("t", "image", (2, 5), 7, 9))]
    ends, photos = plan.write(written)
    assert photos == 3 + 9
    assert list(plan.read(ends[0], ends[2])) == list(zip(ends, written, strict=False))
    assert list(plan.read(ends[1], ends[2])) == [(ends[1], written[1])]


def test_lines_that_follow_each_other_are_joined_to_tasks(monkeypatch):
    ends = [0, 10, 30, 60, 100]
    assert _tasks(range(4), ends) == [(0, 10), (10, 30), (30, 60), (60, 100)]
    monkeypatch.setattr("captioner.bulk.run.MOST_TASKS", 2)
    assert _tasks(range(4), ends) == [(0, 30), (30, 100)]
    assert _tasks([0, 2, 3], ends) == [(0, 10), (30, 100)]


@pytest.mark.parametrize(
    "damage", ["cut", "gone", "flipped", b"[]", b"7", b'{"number": 0}', b'{"number": 0, "names": 1}']
)
def test_a_damaged_plan_is_told(tmp_path, damage):
    plan = Plan(str(tmp_path / "plan"), Storage())
    ends, _ = plan.write([Block(0, ("a.jpg",)), Block(1, shard=Shard("t", "image", (2, 5), 7, 9))])
    content = (tmp_path / "plan").read_bytes()
    damaged = {"cut": content[:-5], "gone": b"", "flipped": content.replace(b"image", b"imag\xff")}
    (tmp_path / "plan").write_bytes(damaged[damage] if isinstance(damage, str) else damage.ljust(len(content)))
    with pytest.raises(CaptionerError, match=r"plan: the plan is damaged, or another run writes to the same folder"):
        list(plan.read(ends[0], ends[2]))
