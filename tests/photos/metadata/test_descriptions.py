import pytest

from captioner.photos.metadata.descriptions import BY_CAMERAS, with_caption, written_by_people


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([], ""),
        ([None, "", " \t\n", "\0"], ""),
        (["at the lake", "at the lake ", None, "at the\nlake"], "at the lake"),
        (["at the lake", "at the lake with Oma"], "at the lake with Oma"),
        (["at the lake with Oma", "the lake"], "at the lake with Oma"),
        (["one", "two", "one"], "one\ntwo"),
        (["SONY DSC", "two"], "two"),
        (["SONY DSC2"], "SONY DSC2"),
        (["sony dsc"], "sony dsc"),
        ([r"DCIM\100MEDIA\DJI_0001.JPG", "DCIM/100GOPRO"], ""),
        (["DCIM/100GOPRO is full"], "DCIM/100GOPRO is full"),
        (["a\x01b\ud800"], "ab"),
        ([f"  {each}  " for each in BY_CAMERAS], ""),
    ],
)
def test_what_people_wrote(places, expected):
    assert written_by_people(places) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "a dog"),
        ("Oma", "Oma\na dog"),
        ("Oma and a dog.", "Oma and a dog."),
        ("A\nDog", "A\nDog"),
        ("a dogma", "a dogma\na dog"),
        ("Oma\na dog", "Oma\na dog"),
    ],
)
def test_a_caption_is_added_where_it_is_not_there(text, expected):
    assert with_caption(text, "a dog") == expected


def test_a_caption_may_have_signs_in_it():
    assert with_caption("Oma", "<unk> (a+b)") == "Oma\n<unk> (a+b)"
    assert with_caption("Oma\n<unk> (a+b)", "<unk> (a+b)") == "Oma\n<unk> (a+b)"
