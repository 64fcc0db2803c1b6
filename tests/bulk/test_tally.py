import pytest

from captioner.bulk.tally import Tally, kind_of


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("no such file", "no such file"),
        ("not an image that can be read (expected JPEG or PNG)", "not an image that can be read"),
        ("the file is damaged (broken (a) b); copy it again", "the file is damaged"),
        ("the file is truncated; copy or download it again", "the file is truncated"),
        ("(odd)", "(odd)"),
    ],
)
def test_a_kind_leaves_out_details_and_advice(error, kind):
    assert kind_of(error) == kind


def test_captions_that_were_left_out_are_counted_apart_from_odd_files():
    notes = [
        "left out: less sure than 0.6 (0.412)",
        "left out: less sure than 0.6 (0.1); odd (a); do this",
        "odd",
        None,
    ]
    tally = Tally.of([None, None, None, "no such file"], notes)
    assert tally.notes == {"left out: less sure than 0.6": 2, "odd": 2}
    assert tally.left_out == {"left out: less sure than 0.6": 2}
    assert (tally.photos, tally.good) == (4, 1)


def test_counts_add_up():
    tally = Tally.of([None, "no such file", None])
    tally.add(Tally.of(["no such file", "the file is empty", None], [None, None, "odd (a)"]))
    assert (tally.photos, tally.good) == (6, 3)
    assert tally.errors == {"no such file": 2, "the file is empty": 1}
    assert tally.notes == {"odd": 1}
