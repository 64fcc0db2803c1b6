import ast
import re
import shlex
from pathlib import Path

import pytest

from captioner.config.decoding import DecodingConfig
from captioner.config.model import DecoderConfig, EncoderConfig, ModelConfig
from captioner.config.training import TrainingConfig
from captioner.training.card.caption_card import write_card

METRICS = {"bleu1": 61.24, "bleu2": 43.0, "bleu3": 30.0, "bleu4": 20.06, "rouge_l": 45.0, "cider": 52.0} | {
    "images": 1000,
    "split": "dev",
    "parameters": 1234567,
    "best_epoch": 9,
    "epochs": 14,
    "training_seconds": 1260,
    "copied": 12.4,
    "distinct_words": 321,
    "mean_length": 9.94,
    "name_any": 640,
    "groundless_colours": 41.0,
    "groundless_numbers": 22.0,
    "wrong_gender": 7.6,
    "examples": {"worst": [{"image": "7.jpg", "caption": "a cat", "reference": "a dog runs", "cider": 0.2}]},
    "settings": {},
}


@pytest.mark.parametrize(("data", "licence"), [("flickr8k", "non-commercial"), ("holiday", "trained on holiday")])
def test_the_card_says_how_good_and_from_what(tmp_path, data, licence):
    model = ModelConfig(decoder=DecoderConfig("gru", 300, vocabulary_size=2500), decoding=DecodingConfig(3, 0.9, 20))
    write_card(tmp_path / "mine" / "README.md", data, model, TrainingConfig(seed=7), METRICS)
    card = (tmp_path / "mine" / "README.md").read_text()
    assert card.startswith("---\n")
    assert f"\n---\n\n# mine: captions of photos, GRU, trained on {data}\n\n`mine` writes one " in card
    for expected in ("61.2, 43.0, 30.0, 20.1", "1000 dev photos, beam 3, length penalty 0.9", "GRU of 300 units"):
        assert expected in card
    card = " ".join(card.split())
    for expected in ("2500 words", "1,234,567 parameters", "Best epoch 9 of 14; 21 minutes", "seed 7", licence):
        assert expected in card
    for expected in ("AdamW at 0.001 with", "`history.csv` and `training.png` show every epoch"):
        assert expected in card


def test_the_card_counts_no_colours_in_languages_whose_words_it_does_not_know(tmp_path):
    write_card(tmp_path / "README.md", "mine", ModelConfig(), TrainingConfig(), METRICS | {"name_any": 0})
    card = " ".join((tmp_path / "README.md").read_text().split())
    assert "None of these captions has an English word for a colour" in card
    assert "%  have one" not in card
    assert "41%" not in card
    assert "Read its captions before you publish them." in card


def test_the_card_tells_what_it_says_and_what_it_gets_wrong(tmp_path):
    stages = {"fine_tune_epochs": 12, "fine_tune_after": "mixed6", "encoder_rate": 1e-4, "fine_tune_rate": 5e-4}
    stages |= {"fine_tune_views": 4, "self_critical_epochs": 0, "epochs": 10, "logit_adjustment": 0.03}
    model = ModelConfig(EncoderConfig(fine_tune_after="mixed6"))
    metrics = METRICS | {"settings": stages, "tuned_parameters": 3_826_368}
    write_card(tmp_path / "README.md", "flickr8k", model, TrainingConfig(), metrics)
    card = (tmp_path / "README.md").read_text()
    for expected in (
        *("| worst | `7.jpg` | a cat | a dog runs | 0 |", "12% stand in the training captions", "321 different words"),
        *("a colour, 41%", "with a number, 22%", "8% contradict", "12 epochs", "`mixed6`, 3,826,368 parameters"),
        *("length penalty 0.7, no 2-gram twice |", "0.03 times its log-frequency"),
    ):
        assert expected in card, expected
    assert "then up to 12 epochs" in card
    assert "Self-critical" not in card
    assert "Teachers" not in card
    taught = {"epochs": 0, "teachers": ["models/one", "models/two"], "distillation": 0.5, "init_from": "models/zero"}
    own = {"self_critical_epochs": 3, "self_critical_rate": 1e-4, "samples": 5, "caption_weight": 0.2}
    settings = stages | taught | own | {"bleu_weight": 0.25, "self_critical_temperature": 0.5}
    settings |= {"self_critical_encoder_rate": 1e-5}
    write_card(tmp_path / "README.md", "flickr8k", model, TrainingConfig(epochs=0), metrics | {"settings": settings})
    card = " ".join((tmp_path / "README.md").read_text().split())
    assert "from the first epoch on the encoder's layers behind `mixed6`" in card
    assert "**Teachers**: `one`, `two`; the mean of their probabilities was 50%" in card
    assert "scores included. Its first weights were those of `zero`." in card
    assert "itself had learned" not in card
    assert "AdamW with up to 200 warm-up steps" in card  # at a rate that the stages tell
    assert "then up to 3 epochs at 0.0001, 5 captions of its own a photo, drawn at temperature 0.5, rewarded" in card
    assert "rewarded by CIDEr-D and, by 25%, BLEU-4;" in card
    assert "The encoder's fine-tuned layers learned along at 1e-05." in card


def test_the_card_tells_how_the_model_it_started_from_had_learned(tmp_path):
    before = {"epochs": 26, "best_epoch": 24, "training_seconds": 2957}
    before["settings"] = {"epochs": 0, "seed": 3, "fine_tune_epochs": 26, "fine_tune_after": "mixed6"}
    before["settings"] |= {"encoder_rate": 1e-4, "fine_tune_rate": 1e-3, "fine_tune_views": 8}
    settings = {"self_critical_epochs": 4, "self_critical_rate": 5e-5, "samples": 5, "caption_weight": 0.2}
    metrics = METRICS | {"settings": settings | {"epochs": 0, "init_from": "models/pupil"}, "before": before}
    write_card(tmp_path / "README.md", "flickr8k", ModelConfig(), TrainingConfig(epochs=0), metrics)
    card = " ".join((tmp_path / "README.md").read_text().split())
    assert "`pupil` itself had learned in 26 epochs, the best being number 24, 49 minutes, with seed 3:" in card
    assert "**Self-critical training**: up to 4 epochs" in card
    assert "captions of its own a photo, rewarded by CIDEr-D;" in card
    assert card.index("- **Self-critical training**") < card.index("itself had") < card.index("- **Fine-tuning**")
    assert "show every epoch; `metrics.json`" in card
    write_card(
        tmp_path / "README.md", "flickr8k", ModelConfig(), TrainingConfig(epochs=0), metrics | {"epochs_before": 26}
    )
    assert "show every epoch, the first 26 those of `pupil`;" in (tmp_path / "README.md").read_text()
    plain = before | {"settings": {"epochs": 16, "seed": 3}}  # nothing but cross-entropy, or a compact encoder
    card = written(tmp_path, **metrics | {"before": plain})
    assert "49 minutes, with seed 3. ![" in card


def test_the_card_tells_of_the_imitation_what_was_kept(tmp_path):
    shares = [(1, 0.6, 0.9, 0.9), (2, 0.7, 0.3, 0.3)]  # the second is better but for the regions
    imitation = [dict(zip(("epoch", "dev_regions", "dev_keys", "dev_mean"), each, strict=True)) for each in shares]
    metrics = METRICS | {"imitation": imitation, "encoder_parameters": 3000}
    model = ModelConfig(EncoderConfig("compact", "grid", 144))
    write_card(tmp_path / "README.md", "flickr8k", model, TrainingConfig(), metrics)
    card = " ".join((tmp_path / "README.md").read_text().split())
    assert "3,000 parameters, trained from random weights on the same photos" in card
    assert (
        "In 2 epochs it first learned to see what a teacher sees, of whose variance on dev photos it then explained 30%"
        in card
    )


def written(path: Path, data: str = "flickr8k", model: ModelConfig | None = None, **metrics) -> str:
    """Write a card of a model that is named after its directory, and return it in one line."""
    write_card(path / "README.md", data, model or ModelConfig(), TrainingConfig(), METRICS | metrics)
    return " ".join((path / "README.md").read_text().split())


def fields(path: Path) -> dict:
    """What a hub reads of a card."""
    yaml = pytest.importorskip("yaml")
    (path,) = path.glob("README.md")
    return yaml.safe_load(path.read_text().split("---\n")[1])


def test_a_hub_finds_what_it_indexes(tmp_path):
    written(tmp_path / "mine")
    found = fields(tmp_path / "mine")
    (model,) = found.pop("model-index")
    assert found.pop("tags") == ["image-captioning", "attention", "rnn", "keras", "litert"]
    assert found == {
        "language": "en",
        "license": "other",
        "license_name": "flickr8k-non-commercial-research-and-education",
        "library_name": "captioner",
        "pipeline_tag": "image-to-text",
        "datasets": ["flickr8k"],
        "metrics": ["bleu", "rouge", "cider"],
    }
    assert model["name"] == "mine"
    (result,) = model["results"]
    assert result["task"]["type"] == "image-to-text"
    assert result["dataset"] == {"type": "flickr8k", "name": "flickr8k, dev", "split": "dev"}
    told = {each["name"]: each["value"] for each in result["metrics"]}
    assert told["BLEU-4 (dev)"] == 20.06
    assert told["CIDEr-D (dev)"] == 52.0
    assert len(told) == 6
    assert "test" not in str(result)


@pytest.mark.parametrize("name", ['ho: "li" #day', "'; rm -rf x; '", "강아지", "two\n---\nlicense: mit"])
def test_names_of_strangers_are_quoted(tmp_path, name):
    model = tmp_path / "a b"
    card = written(model, data=name)
    found = fields(model)
    assert "language" not in found
    assert found["license_name"] == "the-terms-of-the-training-data"
    assert found["datasets"] == [name.replace("\n", "\\n")]
    assert "\nlicense: mit" not in (model / "README.md").read_text()
    assert "--model 'saved_models/a b'" in card
    assert "--data DIR --output 'saved_models/a b-again'" in card


def test_its_commands_and_its_program_can_be_read(tmp_path):
    directory = tmp_path / "it's"
    written(directory)
    card = (directory / "README.md").read_text()
    commands = [line for block in re.findall(r"```sh\n(.*?)```", card, re.DOTALL) for line in block.splitlines()]
    words = [shlex.split(command) for command in commands]
    assert words[0] == ["python", "predict.py", "photo.jpg", "--model", "saved_models/it's"]
    assert words[-1][1:] == ["train.py", "saved_models/it's/metrics.json", "--output", "saved_models/it's-again"]
    (program,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert "saved_models/it's" in {
        each.value for each in ast.walk(ast.parse(program)) if isinstance(each, ast.Constant)
    }


def test_the_card_says_what_the_encoder_needs(tmp_path):
    assert "download encoder` fetches them once" in written(tmp_path)
    card = written(tmp_path, model=ModelConfig(EncoderConfig("VGG16", "block5_conv3", 224)))
    assert "The model needs VGG16's weights, which are not in its directory. Keras downloads them once." in card
    compact = ModelConfig(EncoderConfig("compact", "grid", 144))
    assert "All that the model needs is in its directory" in written(
        tmp_path, model=compact, imitation=[], encoder_parameters=1
    )


def test_the_card_says_how_far_to_trust_a_caption(tmp_path):
    card = written(tmp_path / "mine", data="holiday")
    assert "`python -m captioner calibrate --model saved_models/mine --data DIR` fits them" in card
    assert "Flickr8k's photos" not in card
    assert (
        card.index("## Intended use and limits")
        < card.index("Of the captions that name a colour")
        < card.index("## Scores")
    )


def test_what_made_it_is_told_where_it_is_known(tmp_path):
    card = written(tmp_path / "mine")
    assert "This model was made with" not in card
    assert "in int8" not in card
    assert "which must be there" not in card
    made = {"captioner": "1.2", "keras": "3.0", "tensorflow": "2.0", "python": "3.11.1", "cores": 2}
    settings = {"init_from": "models/zero", "teachers": ["models/one", "models/zero"]}
    card = written(tmp_path / "mine", versions=made, int8={"bleu4": 20.14, "cider": 51.96}, settings=settings)
    assert "captioner 1.2, Keras 3.0, TensorFlow 2.0 and Python 3.11.1 on 2 processor cores." in card
    assert "With the encoder in int8, and the network alone, BLEU-4 is 20.1 and CIDEr-D 52.0." in card
    assert "The training builds on `zero`, `one`, which must be there." in card
    assert "on 1 processor core. With" in written(tmp_path / "mine", versions=made | {"cores": 1})
    card = written(tmp_path / "mine", recipe="recipes/mine.toml", settings=settings)
    assert "```sh python train.py recipes/mine.toml ```" in card
    assert "metrics.json --output" not in card
