import copy
import json
import re
from dataclasses import dataclass, fields, is_dataclass, replace

import pytest

from captioner.config.decoding import DecodingConfig
from captioner.config.model import DecoderConfig, EncoderConfig, ModelConfig
from captioner.config.serialization import from_json, to_json
from captioner.config.training import TrainingConfig
from captioner.decoding.limits import check_search
from captioner.errors import CaptionerError
from captioner.model_files.directory import CaptionerDirectory

CONFIGS = [EncoderConfig, DecoderConfig, DecodingConfig, ModelConfig, TrainingConfig]
WHOLE = {"format_version": 2, "kind": "captioner", "model": to_json(ModelConfig()), "manifest": {}}


def load(path):
    return CaptionerDirectory.read(path.parent).config


@pytest.fixture
def written(tmp_path):
    """Write a model's configuration with one setting, named by its keys, changed; return the file."""

    def write(*keys_and_value):
        *keys, last, value = keys_and_value
        whole = copy.deepcopy(WHOLE)
        place = whole
        for key in keys:
            place = place[key]
        place[last] = value
        path = tmp_path / "config.json"
        path.write_text(json.dumps(whole), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("kind", CONFIGS)
def test_defaults_come_back_through_json(kind):
    assert from_json(kind, json.loads(json.dumps(to_json(kind()))), "file") == kind()


def test_changed_settings_come_back():
    model = ModelConfig(
        EncoderConfig(feature_layer="mixed2", image_size=128),
        DecoderConfig(cell="lstm", hidden_size=7, dropout=0.0, vocabulary_size=11, locations=4, channels=6),
        DecodingConfig(beam_width=1, length_penalty=0.0, max_length=5),
    )
    training = replace(TrainingConfig(), learning_rate=0.25, seed=3)
    for each in (model, training):
        assert from_json(type(each), json.loads(json.dumps(to_json(each))), "file") == each


def test_models_from_before_phrases_were_watched_say_them_as_they_come(written):
    path = written("model", "decoding", "max_length", 9)
    value = json.loads(path.read_text())
    del value["model"]["decoding"]["no_repeat_ngram_size"]
    path.write_text(json.dumps(value))
    assert DecodingConfig().no_repeat_ngram_size == 2
    assert load(path).decoding == DecodingConfig(max_length=9, no_repeat_ngram_size=0)


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_number_has_bounds_that_hold_its_default(kind):
    for each in fields(kind):
        if each.type in (int, float):
            assert each.metadata["ge"] <= each.default <= each.metadata["le"], each.name


def test_a_whole_number_may_stand_for_a_float(written):
    loaded = load(written("model", "decoding", "length_penalty", 1))
    assert loaded.decoding.length_penalty == 1.0
    assert type(loaded.decoding.length_penalty) is float


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("decoder", "hidden_size"), "512", "model: decoder: hidden_size: expected int, found str '512'"),
        (("decoder", "hidden_size"), -1, "hidden_size: expected a value from 1 to 16384, found -1"),
        (("decoder", "hidden_size"), 0, "hidden_size: expected a value from 1 to 16384, found 0"),
        (("decoder", "hidden_size"), 10**9, "hidden_size: expected a value from 1 to 16384, found 1000000000"),
        (("decoder", "hidden_size"), 512.0, "hidden_size: expected int, found float '512.0'"),
        (("decoder", "hidden_size"), True, "hidden_size: expected int, found bool 'True'"),
        (("decoder", "hidden_size"), None, "hidden_size: expected int, found NoneType"),
        (("decoder", "hidden_size"), [512], "hidden_size: expected int, found list"),
        (("decoder", "dropout"), False, "dropout: expected float, found bool"),
        (("decoder", "dropout"), 0.96, "dropout: expected a value from 0.0 to 0.95, found 0.96"),
        (("decoder", "dropout"), float("nan"), "dropout: expected a value from 0.0 to 0.95, found nan"),
        (("decoder", "cell"), "transformer", "cell: expected one of rnn, gru, lstm, found 'transformer'"),
        (("decoder", "cell"), 3, "cell: expected str, found int '3'"),
        (("decoder", "vocabulary_size"), 3, "vocabulary_size: expected a value from 4 to 1000000, found 3"),
        (("decoding", "length_penalty"), float("inf"), "length_penalty: expected a value from 0.0 to 10.0, found inf"),
        (("decoding", "length_penalty"), 10**400, "length_penalty: expected float, found int"),
        (("decoding", "beam_width"), 0, "beam_width: expected a value from 1 to 1000, found 0"),
        (("encoder", "network"), "__class__", "network: expected one of InceptionV3, compact, "),
        (("encoder", "image_size"), 74, "image_size: expected a value from 75 to 2048, found 74"),
        (("encoder", "feature_layer"), {}, "feature_layer: expected str, found dict"),
        (("decoder",), 5, "model: decoder: expected an object of settings, found int"),
        (("decoder",), [], "model: decoder: expected an object of settings, found list"),
        (("decoder", "hidden"), 5, "model: decoder: unknown settings ['hidden'], missing settings none"),
        (("__class__",), 5, "model: unknown settings ['__class__'], missing settings none"),
    ],
)
def test_hostile_values_are_named(written, keys, value, message):
    path = written("model", *keys, value)
    with pytest.raises(CaptionerError, match=re.escape(message)) as error:
        load(path)
    assert str(error.value).startswith(str(path))
    assert len(str(error.value)) < 400


def test_a_missing_setting_is_named(tmp_path):
    whole = copy.deepcopy(WHOLE)
    del whole["model"]["decoder"]["cell"]
    (tmp_path / "config.json").write_text(json.dumps(whole), encoding="utf-8")
    with pytest.raises(CaptionerError, match=re.escape("unknown settings none, missing settings ['cell']")):
        load(tmp_path / "config.json")


@pytest.mark.parametrize("version", [3, 0, -1, 1.0, True, "1", None, [], {"a": 1}, 10**30])
def test_another_format_version_is_refused(written, version):
    path = written("format_version", version)
    with pytest.raises(CaptionerError, match=r"config\.json: format version .* cannot be read.*reads 1 and 2; install"):
        load(path)


@pytest.mark.parametrize("content", ["[]", "1", "null", '"model"', "{}"])
def test_another_json_is_refused(tmp_path, content):
    (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(CaptionerError, match="format version None cannot be read"):
        load(tmp_path / "config.json")


def test_a_part_that_is_not_there(tmp_path):
    whole = {name: part for name, part in WHOLE.items() if name != "model"}
    (tmp_path / "config.json").write_text(json.dumps(whole))
    with pytest.raises(CaptionerError, match="model: expected an object of settings, found NoneType"):
        load(tmp_path / "config.json")


@pytest.mark.parametrize("depth", [*range(700, 1100, 20), 100_000])
def test_deep_nesting_is_refused_at_any_depth(tmp_path, depth):
    path = tmp_path / "config.json"
    deep = "[" * depth + "]" * depth
    whole = json.dumps(WHOLE)
    for content in (
        whole.replace(": 512", f": {deep}"),
        whole.replace('"format_version": 2', f'"format_version": {deep}'),
    ):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(CaptionerError, match=r"config\.json"):
            load(path)


def test_every_setting_refuses_every_other_type():
    def leaves(value, path=()):
        if isinstance(value, dict):
            for key, below in value.items():
                yield from leaves(below, (*path, key))
        else:
            yield path, value

    whole = to_json(ModelConfig())
    strangers = ["x", -7, 10**12, 1e300, True, None, [], {}, [{}], {"a": 1}, ""]
    for (*keys, last), good in leaves(whole):
        for stranger in strangers:
            if isinstance(good, str) and isinstance(stranger, str) and last in ("feature_layer", "fine_tune_after"):
                continue  # which layers there are, the network knows
            changed = copy.deepcopy(whole)
            place = changed
            for key in keys:
                place = place[key]
            place[last] = stranger
            with pytest.raises(CaptionerError, match=f"file: .*{last}"):
                from_json(ModelConfig, changed, "file")


def test_either_of_two_types():
    @dataclass(frozen=True)
    class Either:
        path: str | None = None

    for value in ("x", None):
        assert from_json(Either, {"path": value}, "file") == Either(value)
    with pytest.raises(CaptionerError, match="file: path: expected str or NoneType, found int '5'"):
        from_json(Either, {"path": 5}, "file")


def test_configurations_cannot_be_changed_in_place():
    for kind in CONFIGS:
        assert is_dataclass(kind)
        with pytest.raises(AttributeError):
            setattr(kind(), fields(kind)[0].name, 1)


def test_a_search_of_too_many_words_is_refused_wherever_it_is_asked_for(written):
    assert DecodingConfig(10, max_length=1000).beam_width == 10
    with pytest.raises(CaptionerError, match="would follow 10010 words, expected at most 10000"):
        DecodingConfig(beam_width=10, max_length=1001)
    with pytest.raises(CaptionerError, match="would follow 11000 words"):
        replace(DecodingConfig(beam_width=10, max_length=1000), beam_width=11)
    path = written("model", "decoding", "beam_width", 1000)
    with pytest.raises(CaptionerError, match=re.escape(f"{path}: model: decoding: a beam_width of 1000 with")):
        load(path)


@pytest.mark.parametrize(
    ("sizes", "decoding"),
    [
        ({"vocabulary_size": 1_000_000}, DecodingConfig(beam_width=100)),
        ({"locations": 65536, "hidden_size": 1024}, DecodingConfig()),
        ({"locations": 65536, "hidden_size": 1, "attention_dim": 1}, DecodingConfig(beam_width=20, max_length=500)),
        ({"hidden_size": 16384, "cell": "lstm"}, DecodingConfig(beam_width=500, max_length=20)),
    ],
)
def test_a_search_that_takes_too_much_memory_is_refused(sizes, decoding):
    with pytest.raises(CaptionerError, match=r"would take \d+\.\d GB, expected at most 1\.1"):
        check_search(DecoderConfig(**sizes), decoding, 8)


def test_searches_that_people_ask_for_are_not_refused():
    check_search(DecoderConfig(vocabulary_size=30_000, hidden_size=1024), DecodingConfig(beam_width=50), 8)
    check_search(DecoderConfig(vocabulary_size=30_000, locations=784), DecodingConfig(beam_width=8), 100)
