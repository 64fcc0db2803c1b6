import base64
import io
import json
import math
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from captioner.config.model import CELLS
from captioner.decoding.captions import generate
from captioner.errors import CaptionerError
from captioner.export.caption_savedmodel import CaptionSavedModel, export_caption_savedmodel
from captioner.models import networks
from captioner.models.encoder import KerasEncoder
from captioner.photos.opening import open_photo
from captioner.photos.preprocessing import preprocess
from captioner.runtime.captioner import Captioner
from captioner.text import SPECIAL_TOKENS, Vocabulary
from tests.export.serving import RequestError, Server

pytestmark = pytest.mark.long  # tests/cli/test_export.py holds a quick sample: an export that says what predict says


@pytest.fixture(scope="module")
def photos():
    """Bytes of files of all sizes."""
    draw = np.random.default_rng(22)
    files = []
    for number in range(5):
        pixels = draw.integers(256, size=(4 + number, 6, 3), dtype=np.uint8) // (1 + number % 3)
        image = Image.fromarray(pixels).resize((90 + 40 * number, 120), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        image.save(file, "PNG" if number % 2 else "JPEG")
        files.append(file.getvalue())
    return files


@pytest.fixture(scope="module")
def exported(tmp_path_factory, save_captioner, encoder):
    """Export the model with a cell, once, and load it; a reference must be kept."""
    kept = {}

    def make(cell, known=None):
        key = cell, bool(known)
        if key not in kept:
            folder = tmp_path_factory.mktemp(cell)
            model = save_captioner(folder / "model", cell, known=known)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(networks, "build_encoder", lambda config, weights: encoder)
                export_caption_savedmodel(model, "imagenet", folder / "export")
            kept[key] = tf.saved_model.load(str(folder / "export")), folder / "export"
        return kept[key][0]

    make.folder = lambda cell, known=None: (make(cell, known), kept[cell, bool(known)][1])[1]
    return make


@pytest.fixture
def captioner(vocabulary, encoder, network, config):
    """What `predict` runs, with Keras's networks."""

    def make(cell, num_captions=1, **decoding):
        search = replace(config(cell).decoding, **decoding)
        return Captioner(vocabulary, KerasEncoder(encoder), network(cell), search, num_captions)

    return make


FILES = 2e-2
"""How far a score or a weight of these networks moves when pixels differ by 1 of 255 here and there."""


def assert_as_predict(found, captions, number, atol):
    texts, scores = found["captions"].numpy(), found["scores"].numpy()
    assert texts.shape == scores.shape == (len(captions), number)
    for image, caption in enumerate(captions):
        for n, candidate in enumerate(caption.candidates):
            assert texts[image, n].decode() == candidate.text
            assert scores[image, n] == pytest.approx(candidate.score, abs=atol)
            words, T = found["words"][image, n].numpy(), len(candidate.words)
            assert [word.decode() for word in words[:T]] == list(candidate.words)
            assert set(words[T:]) <= {b""}
            np.testing.assert_allclose(found["attention"][image, n, :T], candidate.attention, atol=atol)
            assert not found["attention"][image, n, T:].numpy().any()


@pytest.mark.parametrize("cell", CELLS)
def test_captions_of_files_are_those_of_predict(exported, captioner, photos, cell):
    found = exported(cell).caption_files(photos, num_captions=3)
    captions = captioner(cell, 3)(photos)
    assert_as_predict(found, captions, 3, FILES)
    assert len({caption.text for caption in captions}) > 1


@pytest.mark.parametrize("words", ["一 只 狗 在 跑 dog", "2 只 ทำ น้ำ a dog"])
def test_captions_in_scripts_without_spaces_are_those_of_predict(encoder, network, config, photos, words):
    characters = Vocabulary([*SPECIAL_TOKENS, *words.split()])
    found = CaptionSavedModel(config("rnn"), characters, network("rnn"), encoder).caption_files(photos, num_captions=3)
    captions = Captioner(characters, KerasEncoder(encoder), network("rnn"), config("rnn").decoding, 3)(photos)
    assert_as_predict(found, captions, 3, FILES)
    every = [candidate for caption in captions for candidate in caption.candidates]
    assert any(candidate.text != " ".join(candidate.words) for candidate in every)


@pytest.mark.parametrize(
    "settings",
    [
        *({"beam_width": 1}, {"beam_width": 5, "length_penalty": 2.0}, {"max_length": 3}),
        *({"no_repeat_ngram_size": 0}, {"no_repeat_ngram_size": 1}),
    ],
)
def test_settings_reach_the_search(exported, captioner, photos, settings):
    assert_as_predict(exported("rnn").caption_files(photos, **settings), captioner("rnn", **settings)(photos), 1, FILES)


def test_the_beam_is_as_wide_as_captions_are_asked_for(exported, captioner, photos):
    assert_as_predict(exported("rnn").caption_files(photos, num_captions=7), captioner("rnn", 7)(photos), 7, FILES)


@pytest.mark.parametrize("cell", CELLS)
def test_captions_of_images_are_those_of_predict(exported, captioner, photos, cell):
    pixels = [open_photo(photo) for photo in photos]
    images = np.stack([preprocess(photo, 75) for photo in pixels])
    assert_as_predict(exported(cell).caption_images(images, num_captions=3), captioner(cell, 3)(pixels), 3, 1e-4)


def test_a_caption_does_not_depend_on_those_beside_it(exported, photos):
    model = exported("lstm")
    together = model.caption_files(photos, num_captions=2)
    for number, photo in enumerate(photos):
        alone = model.caption_files([photo], num_captions=2)
        assert alone["captions"].numpy().tolist() == together["captions"].numpy()[number : number + 1].tolist()
        np.testing.assert_allclose(alone["scores"][0], together["scores"][number], atol=1e-5)


def test_nothing_to_caption(exported):
    found = exported("rnn").caption_files(tf.constant([], tf.string), num_captions=2)
    shapes = {name: value.shape.as_list() for name, value in found.items()}
    length = shapes["words"][2]  # of what was said of the blank image in the place of none
    assert shapes == {
        "captions": [0, 2],
        "scores": [0, 2],
        "words": [0, 2, length],
        "attention": [0, 2, length, 4],
    }


def test_what_goes_in_and_comes_out(exported):
    signatures = exported("rnn").signatures
    assert set(signatures) == {"serving_default", "caption_files", "caption_images"}

    def about(specs):
        return {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in specs.items()}

    default = signatures["serving_default"]
    assert about(default.structured_input_signature[1]) == {"photos": ("string", [None])}
    assert about(default.structured_outputs) == {"caption": ("string", [None]), "score": ("float32", [None])}
    scalars = {name: ("int32", []) for name in ("num_captions", "beam_width", "max_length", "no_repeat_ngram_size")}
    scalars["length_penalty"] = ("float32", [])
    taken = {
        "caption_files": {"photos": ("string", [None])},
        "caption_images": {"images": ("float32", [None, 75, 75, 3])},
    }
    for name, expected in taken.items():
        assert about(signatures[name].structured_input_signature[1]) == {**expected, **scalars}
        assert about(signatures[name].structured_outputs) == {
            "captions": ("string", [None, None]),
            "scores": ("float32", [None, None]),
            "words": ("string", [None, None, None]),
            "attention": ("float32", [None, None, None, 4]),
        }


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"num_captions": 0}, "num_captions: expected 1 or more"),
        ({"beam_width": 0}, "beam_width: expected 1 or more"),
        ({"max_length": 0}, "max_length: expected 1 or more"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size: expected 0 or more"),
        ({"length_penalty": -0.5}, "length_penalty: expected 0 or more"),
        ({"length_penalty": math.nan}, "length_penalty: expected 0 or more"),
        ({"beam_width": 2001, "max_length": 5}, r"times max_length: expected at most 10000 words to follow; ask for"),
        ({"num_captions": 10_001, "max_length": 1}, r"expected at most 10000 words to follow"),
        ({"beam_width": 1 << 16, "max_length": 1 << 16}, r"expected at most 10000 words to follow"),  # 0 in int32
    ],
    ids=repr,
)
def test_settings_out_of_bounds_are_named(exported, photos, setting, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        exported("rnn").caption_files(photos, **setting)


def test_what_is_no_photo_is_named(exported, photos):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"expected the bytes of JPEG or PNG files.*\[1\]"):
        exported("rnn").caption_files([photos[0], b"no photo", photos[1]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="its input is not finite"):
        exported("rnn").caption_images(np.full((1, 75, 75, 3), np.nan, np.float32))


def test_photos_alone_give_the_best_captions(exported, photos):
    model = exported("rnn")
    found = model.signatures["serving_default"](photos=tf.constant(photos))
    expected = model.caption_files(photos)
    assert found["caption"].numpy().tolist() == expected["captions"].numpy()[:, 0].tolist()
    assert found["score"].numpy().tolist() == expected["scores"].numpy()[:, 0].tolist()
    nothing = model.serving_default(tf.constant([], tf.string))
    assert {name: value.shape.as_list() for name, value in nothing.items()} == {"caption": [0], "score": [0]}


@pytest.fixture(scope="module")
def server(exported):
    return Server(exported.folder("rnn"))


@pytest.fixture
def spoken(exported, photos):
    """What the default signature says of each photo, as JSON has it."""
    found = exported("rnn").serving_default(tf.constant(photos))
    return [
        {"caption": text.decode(), "score": pytest.approx(float(score), abs=1e-5)}
        for text, score in zip(found["caption"].numpy(), found["score"].numpy(), strict=True)
    ]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("search", [{}, {"length_penalty": 2.0, "beam_width": 4, "max_length": 4}, {"num_captions": 9}])
def test_confidence_and_familiarity_are_those_of_the_library(exported, known, encoder, network, config, cell, search):
    images = np.random.default_rng(3).uniform(-1, 1, (6, 75, 75, 3)).astype(np.float32)
    images *= np.linspace(0.1, 1, 6, dtype=np.float32)[:, None, None, None]
    number, settings = search.get("num_captions", 2), {key: search[key] for key in search if key != "num_captions"}
    decoding = replace(config(cell).decoding, **settings)
    features = encoder(images).numpy()
    beams = generate(network(cell), features, replace(decoding, beam_width=max(decoding.beam_width, number)))
    expected = np.full((6, number), np.nan)
    for image, beam in enumerate(beams):
        for n, each in enumerate(beam[:number]):
            expected[image, n] = known.confidence(each.log_prob, each.length)
    familiar = [known.is_familiar(each) for each in features]
    found = exported(cell, known).caption_images(images, num_captions=number, **settings)

    assert (found["confidence"].dtype, found["familiar"].dtype) == (tf.float32, tf.bool)
    np.testing.assert_allclose(found["confidence"], expected, atol=1e-5)
    assert found["familiar"].numpy().tolist() == familiar
    assert len({*expected[np.isfinite(expected)]}) > 3
    assert set(familiar) == {True, False}


def test_the_best_caption_has_its_confidence(exported, known, captioner, photos):
    model = exported("rnn", known)
    found, every = model.serving_default(tf.constant(photos)), model.caption_files(photos, num_captions=2)
    assert found["confidence"].numpy().tolist() == every["confidence"].numpy()[:, 0].tolist()
    assert found["familiar"].numpy().tolist() == every["familiar"].numpy().tolist()
    plain = captioner("rnn")
    plain.calibration = known
    captions = plain(photos)
    assert found["confidence"].numpy() == pytest.approx([each.confidence for each in captions], abs=FILES)
    assert found["familiar"].numpy().tolist() == [each.familiar for each in captions]
    nothing = model.serving_default(tf.constant([], tf.string))
    assert {name: value.shape.as_list() for name, value in nothing.items()} == {
        name: [0] for name in ("caption", "score", "confidence", "familiar")
    }
    none = model.caption_files(tf.constant([], tf.string), num_captions=3)
    assert (none["confidence"].shape, none["familiar"].shape) == ((0, 3), (0,))


def test_what_the_signatures_of_a_model_that_knows_its_doubt_give(exported, known):
    signatures = exported("rnn", known).signatures
    about = {
        name: {each: (spec.dtype.name, spec.shape.as_list()) for each, spec in signature.structured_outputs.items()}
        for name, signature in signatures.items()
    }
    assert about["serving_default"]["confidence"] == ("float32", [None])
    assert about["caption_files"]["confidence"] == about["caption_images"]["confidence"] == ("float32", [None, None])
    assert [each["familiar"] for each in about.values()] == [("bool", [None])] * 3


def test_a_server_tells_how_sure_a_caption_is(exported, known, photos):
    server = Server(exported.folder("rnn", known))
    found = server.predict(json.dumps({"instances": list(map(b64, photos))}))["predictions"]
    expected = exported("rnn", known).serving_default(tf.constant(photos))
    assert [row["confidence"] for row in found] == pytest.approx(expected["confidence"].numpy().tolist(), abs=1e-5)
    assert [row["familiar"] for row in found] == expected["familiar"].numpy().tolist()
    assert {type(row["familiar"]) for row in found} == {bool}
    assert {tuple(row) for row in found} == {tuple(found[0])}
    assert set(found[0]) == {"caption", "score", "confidence", "familiar"}
    first, second = ({"instances": list(map(b64, part))} for part in (photos[:2], photos[2:]))
    joined = server.predict_batched(json.dumps(first), json.dumps(second))
    assert [row["caption"] for part in joined for row in part["predictions"]] == [row["caption"] for row in found]


def b64(photo):
    return {"b64": base64.b64encode(photo).decode()}


def test_a_server_takes_rows_of_photos(server, photos, spoken):
    rows = list(map(b64, photos))
    expected = {"predictions": spoken}
    assert server.predict(json.dumps({"instances": rows})) == expected
    assert server.predict(json.dumps({"instances": [{"photos": row} for row in rows]})) == expected
    assert server.predict(json.dumps({"instances": rows[:1]})) == {"predictions": spoken[:1]}


def test_a_server_joins_requests_in_a_batch(server, photos, spoken):
    first, second = ({"instances": list(map(b64, part))} for part in (photos[:2], photos[2:]))
    found = server.predict_batched(json.dumps(first), json.dumps(second))
    assert found == [{"predictions": spoken[:2]}, {"predictions": spoken[2:]}]


def test_the_request_of_the_documents_names_all_inputs_of_the_signature(exported):
    text = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text(encoding="utf-8")
    (request,) = (
        json.loads(each) for each in re.findall(r"^```json\n(.*?)^```$", text, re.M | re.S) if "inputs" in each
    )
    signature = exported("rnn").signatures[request["signature_name"]]
    assert set(request["inputs"]) == set(signature.structured_input_signature[1])


def test_settings_go_in_columns_with_all_that_the_signature_names(server, exported, photos):
    settings = {"num_captions": 2, "beam_width": 3, "length_penalty": 0.7, "max_length": 6, "no_repeat_ngram_size": 2}
    request = {"signature_name": "caption_files", "inputs": {"photos": list(map(b64, photos)), **settings}}
    found = server.predict(json.dumps(request))["outputs"]
    expected = exported("rnn").caption_files(photos, num_captions=2)
    assert set(found) == {"captions", "scores", "words", "attention"}
    assert found["captions"] == [[text.decode() for text in row] for row in expected["captions"].numpy()]
    del request["inputs"]["beam_width"]
    with pytest.raises(RequestError, match="Missing named input: beam_width"):
        server.predict(json.dumps(request))
    rows = [{"photos": b64(photo), **settings} for photo in photos]
    with pytest.raises(ValueError, match="Cannot feed value of shape"):  # a setting for each photo
        server.predict(json.dumps({"signature_name": "caption_files", "instances": rows}))


BARE = """
import sys
sys.modules["captioner"] = sys.modules["keras"] = None  # importing them fails
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
photos = [open(path, "rb").read() for path in sys.argv[2:]]
captions = model.caption_files(photos, num_captions=2)["captions"]
same = model.signatures["serving_default"](photos=tf.constant(photos))["caption"]
assert captions.numpy()[:, 0].tolist() == same.numpy().tolist()
sys.stdout.buffer.write(tf.io.serialize_tensor(captions).numpy())
"""


def test_it_needs_tensorflow_alone(exported, photos, tmp_path):
    shutil.copytree(exported.folder("lstm"), tmp_path / "moved")
    for number, photo in enumerate(photos):
        (tmp_path / str(number)).write_bytes(photo)
    names = [str(number) for number in range(len(photos))]
    done = subprocess.run([sys.executable, "-I", "-c", BARE, "moved", *names], capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    expected = exported("lstm").caption_files(photos, num_captions=2)["captions"].numpy()
    assert tf.io.parse_tensor(done.stdout, tf.string).numpy().tolist() == expected.tolist()


def test_it_runs_under_saved_model_cli_with_photos_alone(exported, photos, tmp_path):
    np.save(tmp_path / "photos.npy", photos)

    def tool(command, *arguments):
        model = ["--dir", str(exported.folder("rnn")), "--tag_set", "serve", "--signature_def", "serving_default"]
        run = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", command, *model, *arguments]
        done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    shown = tool("show")
    assert re.findall(r"inputs\['(\w+)'\]", shown) == ["photos"]
    assert sorted(re.findall(r"outputs\['(\w+)'\]", shown)) == ["caption", "score"]
    tool("run", "--inputs", "photos=photos.npy", "--outdir", "out")
    found = np.load(tmp_path / "out" / "caption.npy", allow_pickle=True)
    assert found.tolist() == exported("rnn").serving_default(photos)["caption"].numpy().tolist()


def test_it_tells_which_tensorflow_made_it(exported):
    about = json.loads((exported.folder("rnn") / "export.json").read_text())
    assert about["tensorflow"] == tf.__version__


def test_weights_are_held_once(exported, encoder, network):
    """The encoder's and the decoder's, in float32; a second copy, or an optimiser's, would double the size."""
    files = exported.folder("rnn") / "variables"
    size = sum(path.stat().st_size for path in files.iterdir())
    count = sum(math.prod(weight.shape) for model in (encoder, network("rnn")) for weight in model.weights)
    assert 4 * count < size < 4 * count + 10_000


def test_a_model_that_cannot_be_read_leaves_nothing(tmp_path, save_captioner, encoder, monkeypatch):
    monkeypatch.setattr(networks, "build_encoder", lambda config, weights: encoder)
    model = save_captioner(tmp_path / "model")
    (model / "decoder.npz").write_bytes(b"damaged")
    with pytest.raises(CaptionerError, match=r"decoder\.npz"):
        export_caption_savedmodel(model, "imagenet", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("signature", ["caption_files", "caption_images"])
def test_no_photos_give_no_captions(layered_encoder, vocabulary, network, config, signature):
    module = CaptionSavedModel(config("rnn"), vocabulary, network("rnn"), layered_encoder)
    nothing = tf.zeros(0, tf.string) if signature == "caption_files" else tf.zeros((0, 75, 75, 3))
    found = getattr(module, signature)(nothing, num_captions=3)
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    assert shapes["captions"] == shapes["scores"] == (0, 3)
    assert shapes["words"][:2] == shapes["attention"][:2] == (0, 3)
    assert shapes["attention"][3] == 4  # places
    assert found["captions"].dtype == tf.string
