import io
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioner.config.decoding import DecodingConfig, SamplingConfig, WordingConfig
from captioner.config.model import DecoderConfig
from captioner.errors import CaptionerError, PhotoError
from captioner.runtime import captioner as captioner_module
from captioner.runtime.captioner import Captioner
from captioner.runtime.decoder import DecoderNetwork, weight_shapes
from captioner.text import Vocabulary

DECODING = DecodingConfig(beam_width=3, length_penalty=0.7, max_length=6)


class Means:
    """Images (8, 8, 3) to features (4, 3): the means of the quarters; darker photos take longer, as others do."""

    image_size = 8

    def __init__(self) -> None:
        self.lock, self.now, self.most, self.single_threaded = threading.Lock(), 0, 0, set()

    def __call__(self, image: np.ndarray, single_threaded: bool = False) -> np.ndarray:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.single_threaded.add(single_threaded)
        time.sleep(0.01 if image.mean() < 0 else 0)
        with self.lock:
            self.now -= 1
        return image.reshape(2, 4, 2, 4, 3).mean(axis=(1, 3)).reshape(4, 3) * 4


@pytest.fixture
def make():
    def make(num_captions: int = 1, **options) -> Captioner:
        vocabulary = Vocabulary.build([["a", "dog", "runs", "the", "cat", "강아지"]])
        config = DecoderConfig("gru", 8, 5, 7, 0.0, len(vocabulary), locations=4, channels=3)
        draw = np.random.default_rng(1)
        weights = {name: draw.uniform(-1, 1, shape) * 2 for name, shape in weight_shapes(config).items()}
        return Captioner(vocabulary, Means(), DecoderNetwork(config, weights), DECODING, num_captions, **options)

    return make


@pytest.fixture
def photos() -> list[np.ndarray]:
    draw = np.random.default_rng(22)
    return [draw.integers(256, size=(9 + number, 12, 3)).astype(np.uint8) // (1 + number % 3) for number in range(9)]


def test_a_caption_has_words_score_attention_and_candidates(make, photos):
    caption = make(num_captions=3)(photos[0])
    assert caption.text == str(caption) == " ".join(caption.words)
    assert caption.score < 0
    assert caption.attention.shape == (len(caption.words), 4)
    np.testing.assert_allclose(caption.attention.sum(axis=1), 1, atol=1e-5)
    assert len(caption.candidates) == 3
    assert caption.candidates[0].text == caption.text
    scores = [each.score for each in caption.candidates]
    assert scores[0] == caption.score
    assert len({each.text for each in caption.candidates}) == 3


@pytest.mark.parametrize("number", [1, 2, 5])
def test_the_beam_is_as_wide_as_captions_are_asked_for(make, photos, number):
    captioner = make(number)
    assert captioner.decoding.beam_width == max(3, number)
    assert len(captioner(photos[0]).candidates) == number


def test_whatever_a_photo_comes_as(make, photos, tmp_path):
    file = io.BytesIO()
    Image.fromarray(photos[0]).save(file, "PNG")
    (tmp_path / "photo.png").write_bytes(file.getvalue())
    forms = [
        photos[0],
        file.getvalue(),
        tmp_path / "photo.png",
        str(tmp_path / "photo.png"),
        Image.fromarray(photos[0]),
    ]
    captioner = make()
    assert len({captioner(form).text for form in forms}) == 1
    assert {caption.text for caption in captioner(forms)} == {captioner(photos[0]).text}
    assert captioner([]) == []


@pytest.mark.parametrize("open_file", ["file", "memory", "archive", "temporary"])
def test_an_open_binary_file_is_a_photo(make, photos, tmp_path, open_file):
    Image.fromarray(photos[0]).save(tmp_path / "photo.png")
    content = (tmp_path / "photo.png").read_bytes()

    def opened():
        if open_file == "file":
            return (tmp_path / "photo.png").open("rb")
        if open_file == "memory":
            return io.BytesIO(content)
        if open_file == "temporary":
            file = tempfile.TemporaryFile()  # noqa: SIM115  # who takes it closes it
            file.write(content)
            file.seek(0)
            return file
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("photo.png", content)
        return zipfile.ZipFile(file).open("photo.png")

    captioner = make()
    expected = captioner(photos[0]).text
    with opened() as file:
        assert captioner(file).text == expected
    with opened() as first, opened() as second:
        assert [caption.text for caption in captioner([first, photos[0], second])] == [expected] * 3
    with opened() as file:
        ((given, caption),) = captioner.stream([file])
        assert given is file
        assert caption.text == expected


def test_a_file_that_cannot_be_read_is_no_photo_and_stops_no_other(make, photos, tmp_path):
    (tmp_path / "photo.png").touch()
    with (tmp_path / "photo.png").open("rb") as closed:
        pass
    with (tmp_path / "new.png").open("wb") as writing:
        found = [result for _, result in make().stream([closed, io.BytesIO(), writing, photos[0]])]
    assert [isinstance(each, PhotoError) for each in found] == [True, True, True, False]
    assert str(found[0]) == f"{tmp_path / 'photo.png'}: read of closed file"


WRONG = [None, 7, {"image": b""}, bytearray(b"photo"), ["a.jpg"], Ellipsis]


@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: type(wrong).__name__)
def test_a_wrong_item_is_named_by_its_place(make, photos, place, wrong):
    items = photos[:3]
    items.insert(place, wrong)
    captioner = make()
    captioner.encoder = None  # of a list nothing is captioned before all is known to be photos
    expected = rf"^photos\[{place}\]: expected a path, .* or an array, got {type(wrong).__name__}$"
    with pytest.raises(TypeError, match=expected):
        captioner(items)
    with pytest.raises(TypeError, match=expected):
        make()(each for each in items)
    for several in (make().stream, make().features):
        with pytest.raises(TypeError, match=expected):
            list(several(iter(items)))


@pytest.mark.parametrize("wrong", [None, 7, {"image": b""}, bytearray(b"photo"), memoryview(b"photo"), object()])
def test_what_is_no_photo_is_refused(make, wrong):
    with pytest.raises(TypeError, match=f"^the photo: expected a path, .* got {type(wrong).__name__}$"):
        make()(wrong)


@pytest.mark.parametrize("several", ["a.jpg", Path("a.jpg"), b"photo", io.BytesIO(b"a\nb")])
def test_one_photo_is_not_several(make, several):
    for read in (make().stream, make().features):
        with pytest.raises(TypeError, match=f"^photos: expected a list .* got {type(several).__name__}"):
            list(read(several))


def test_a_file_open_as_text_is_not_read_line_by_line(make, tmp_path):
    (tmp_path / "photos.txt").write_text("a.jpg\nb.jpg\n")
    with (tmp_path / "photos.txt").open() as file:
        with pytest.raises(TypeError, match=r"^the photo: .* got TextIOWrapper; open the file in binary mode$"):
            make()(file)
        with pytest.raises(TypeError, match=r"^photos\[1\]: .* got StringIO; open the file in binary mode$"):
            make()(["a.jpg", io.StringIO("b.jpg")])


def test_many_photos_are_captioned_as_alone_and_stay_in_order(make, photos, monkeypatch):
    monkeypatch.setattr(captioner_module, "available_cores", lambda: 3)
    captioner = make()
    alone = [captioner(photo) for photo in photos]
    assert captioner.encoder.single_threaded == {False}
    together = captioner(photos * 4)
    assert captioner.encoder.single_threaded == {False, True}
    assert 1 < captioner.encoder.most <= 3
    assert len({each.text for each in alone}) > 3
    for found, expected in zip(together, alone * 4, strict=True):
        assert found.text == expected.text
        assert found.score == pytest.approx(expected.score, abs=1e-5)


def test_a_broken_photo_does_not_stop_the_others(make, photos, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    mixed = [tmp_path / "broken.jpg", photos[0], tmp_path / "nothing.jpg", photos[1]]
    found = list(make().stream(mixed))
    assert [photo is given for (photo, _), given in zip(found, mixed, strict=True)] == [True] * 4
    assert [isinstance(result, PhotoError) for _, result in found] == [True, False, True, False]
    assert str(tmp_path / "broken.jpg") in str(found[0][1])
    with pytest.raises(PhotoError, match="broken"):
        make()(mixed)
    with pytest.raises(PhotoError, match="nothing"):
        make()(tmp_path / "nothing.jpg")
    assert isinstance(next(make().stream([b""]))[1], PhotoError)


def test_few_photos_are_taken_at_a_time_and_a_reader_may_stop(make, photos, monkeypatch):
    monkeypatch.setattr(captioner_module, "available_cores", lambda: 2)
    taken = []

    def endless():
        while True:
            taken.append(len(taken))
            yield photos[len(taken) % 9]

    results = make().stream(endless())
    for _ in range(10):
        next(results)
    at_once = captioner_module.AT_ONCE
    assert len(taken) <= 2 * at_once + (at_once + 2 * 2)  # two groups, and what is read ahead of a third
    results.close()
    count = len(taken)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPool")]
    assert len(taken) == count


def test_what_is_wrong_with_the_program_is_no_broken_photo(make, photos):
    captioner = make()
    captioner.network = None
    with pytest.raises(AttributeError):
        captioner(photos)


def said(captions) -> list[list[str]]:
    return [[each.text for each in caption.candidates] for caption in captions]


def test_drawn_captions_depend_on_seed_and_photo_alone(make, photos, tmp_path):
    drawing = make().with_settings(num_captions=3, sampling=SamplingConfig(1.5, seed=4))
    together = said(drawing(photos))
    assert said([drawing(photo) for photo in photos]) == together
    assert said(drawing(photos[::-1])) == together[::-1]
    assert [said([caption])[0] for _, caption in drawing.stream(photos, threads=1)] == together
    with pytest.raises(ValueError, match="threads: expected 1 or more, found -1"):
        list(drawing.stream(photos, threads=-1))
    Image.fromarray(photos[3]).save(tmp_path / "renamed.png")
    assert said(drawing([tmp_path / "renamed.png"])) == together[3:4]
    fewer = drawing.with_settings(num_captions=2)
    assert said(fewer(photos)) == [each[:2] for each in together]
    assert said(drawing.with_settings(sampling=SamplingConfig(1.5, seed=5))(photos)) != together
    unseeded = make(3).with_settings(sampling=SamplingConfig(1.5))
    assert len({str(said(unseeded(photos))) for _ in range(3)}) == 3


def test_at_temperature_0_and_with_top_k_1_it_is_the_greedy_caption(make, photos):
    plain = make()
    greedy = plain.with_settings(decoding=DecodingConfig(beam_width=1, length_penalty=0.7, max_length=6))(photos)
    for sampling in (SamplingConfig(0.0), SamplingConfig(3.0, top_k=1)):
        drawn = plain.with_settings(sampling=sampling)(photos)
        assert [each.text for each in drawn] == [each.text for each in greedy]
        np.testing.assert_allclose([each.score for each in drawn], [each.score for each in greedy], rtol=1e-5)
        np.testing.assert_allclose(drawn[0].attention, greedy[0].attention, atol=1e-6)


@pytest.mark.parametrize("sampling", [None, SamplingConfig(2.0, seed=1)])
def test_captions_begin_as_asked_and_leave_out_what_is_excluded(make, photos, sampling):
    plain = make(4)
    wording = WordingConfig("The cat", ("dog", "unicorn"))
    for caption in plain.with_settings(wording=wording, sampling=sampling)(photos):
        for each in caption.candidates:
            assert each.words[:2] == ("the", "cat")
            assert "dog" not in each.words
            assert each.attention.shape == (len(each.words), 4)
    assert any("dog" in each.words for caption in plain(photos) for each in caption.candidates)
    assert plain.wording == WordingConfig()


def test_a_longest_caption_may_be_asked_for(make, photos):
    short = make().with_settings(decoding=DecodingConfig(beam_width=3, max_length=2))
    assert max(len(caption.words) for caption in short(photos)) <= 2 < max(len(each.words) for each in make()(photos))
    with pytest.raises(CaptionerError, match="found 2"):
        short.with_settings(wording=WordingConfig("a dog"))


def test_more_photos_are_searched_together_once_many_are_done(make, monkeypatch):
    captioner, sizes = make(), []
    start = captioner.network.start
    monkeypatch.setattr(captioner.network, "start", lambda features: sizes.append(len(features)) or start(features))
    photos = [np.full((8, 8, 3), number % 256, np.uint8) for number in range(300)]
    assert [photo for photo, _ in captioner.stream(photos)] == photos
    *whole, last = sizes
    assert whole[:9] == [captioner_module.FEW_AT_ONCE] * 9
    assert whole == sorted(whole)
    assert whole[-1] == captioner_module.AT_ONCE
    assert sum(whole) + last == 300
