import random

from captioner.bulk.done_names import DoneNames
from captioner.system.file_names import written


def test_new_names_come_once_and_in_their_order():
    seen = DoneNames()
    assert seen.add(["b", "a", "b"]) == ["b", "a"]
    assert seen.add(["a", "c", "b"]) == ["c"]
    assert seen.add([]) == []
    assert len(seen) == 3


def test_it_remembers_as_a_set_does():
    draw, seen, known = random.Random(1), DoneNames(), set()
    for _ in range(200):
        names = [f"photo {draw.randrange(3000)}.jpg" for _ in range(draw.randrange(60))]
        assert seen.add(names) == [name for name in dict.fromkeys(names) if name not in known]
        known.update(names)
    assert len(seen) == len(known)


def test_a_name_that_is_no_text_is_known_as_it_is_written():
    seen = DoneNames()
    seen.add(["\\udcff.jpg"], as_written=str)  # from a part
    assert seen.add(["\udcff.jpg", "\udcfe.jpg"]) == ["\udcfe.jpg"]


def test_a_name_that_looks_like_one_that_is_no_text_is_another():
    names = ["\udcff.jpg", "\\udcff.jpg", "\\\\udcff.jpg", "\\\udcff.jpg"]
    assert DoneNames().add(names) == names
    for name in names:
        seen = DoneNames()
        seen.add([written(name)], as_written=str)
        assert seen.add(names) == [other for other in names if other != name]
