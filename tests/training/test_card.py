import pytest

from captioner.config import DecoderConfig, DecodingConfig, EncoderConfig, ModelConfig, TrainingConfig
from captioner.training.card import write_card

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
    assert card.startswith("# mine: ")
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
    assert "Read what it says before you publish it." in card


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
    write_card(tmp_path / "README.md", "flickr8k", model, TrainingConfig(epochs=0), metrics | {"settings": settings})
    card = " ".join((tmp_path / "README.md").read_text().split())
    assert "from the first epoch on the encoder's layers behind `mixed6`" in card
    assert "**Teachers**: `one`, `two`; the mean of their probabilities was 50%" in card
    assert "scores included. Its first weights were those of `zero`." in card
    assert "itself had learned" not in card
    assert "AdamW with up to 200 warm-up steps" in card  # at a rate that the stages tell
    assert "then up to 3 epochs at 0.0001, 5 captions of its own a photo, drawn at temperature 0.5, rewarded" in card
    assert "rewarded by CIDEr-D and, by 25%, BLEU-4;" in card


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
