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


def test_counts_add_up():
    tally = Tally.of([None, "no such file", None])
    tally.add(Tally.of(["no such file", "the file is empty", None], [None, None, "odd (a)"]))
    assert (tally.photos, tally.good) == (6, 3)
    assert tally.errors == {"no such file": 2, "the file is empty": 1}
    assert tally.notes == {"odd": 1}
