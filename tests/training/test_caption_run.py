from pathlib import Path

from captioner.config.model import DecoderConfig, EncoderConfig, ModelConfig
from captioner.config.training import TrainingConfig
from captioner.data.dataset import CaptionDataset, Example
from captioner.training.caption_run import CaptionRun, Sources


def test_the_settings_of_a_run_tell_what_was_changed():
    def settings(caption="a dog", test="a fox", **changes):
        splits = {
            "train": (Example(Path("1.jpg"), (caption,)),),
            "dev": (Example(Path("2.jpg"), ("a cat",)),),
            "test": (Example(Path("3.jpg"), (test,)),),
        }
        model = ModelConfig(EncoderConfig(), DecoderConfig(hidden_size=changes.pop("hidden_size", 8)))
        training = TrainingConfig(epochs=changes.pop("epochs", 2))
        sources = Sources(init_from=changes.pop("init_from", None))
        return CaptionRun(CaptionDataset("made-up", splits), model, Path("out"), training, sources=sources).settings()

    def changed(**changes):
        return {name for name, value in settings(**changes).items() if settings()[name] != value}

    assert changed() == set()
    assert changed(hidden_size=9) == {"hidden_size"}
    assert changed(epochs=3) == {"epochs"}
    assert changed(init_from=Path("saved")) == {"init_from"}
    assert changed(caption="a hound") == {"data"}
    assert changed(test="a wolf") == set(), "the test split has no part in training"
    assert {"cell", "feature_layer", "max_length", "learning_rate", "min_count", "seed", "limit"} <= settings().keys()
