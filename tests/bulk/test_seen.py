import random

from captioner.bulk.seen import Seen


def test_new_names_come_once_and_in_their_order():
    seen = Seen()
    assert seen.add(["b", "a", "b"]) == ["b", "a"]
    assert seen.add(["a", "c", "b"]) == ["c"]
    assert seen.add([]) == []
    assert len(seen) == 3


def test_it_remembers_as_a_set_does():
    draw, seen, known = random.Random(1), Seen(), set()
    for _ in range(200):
        names = [f"photo {draw.randrange(3000)}.jpg" for _ in range(draw.randrange(60))]
        assert seen.add(names) == [name for name in dict.fromkeys(names) if name not in known]
        known.update(names)
    assert len(seen) == len(known)


def test_a_name_that_is_no_text_is_known_as_it_is_written():
    seen = Seen()
    seen.add(["\\udcff.jpg"])
    assert seen.add(["\udcff.jpg", "\udcfe.jpg"]) == ["\udcfe.jpg"]
