from types import SimpleNamespace

import pytest

from captioner.cli import evaluate, train
from captioner.config.model import ModelConfig
from captioner.data.formats import read_dataset


def test_the_seed_does_not_move_photos_between_the_splits(tmp_path, monkeypatch):
    from captioner.training import caption_run
    from captioner.training.inputs import split

    rows = [f"{number}.jpg,a dog" for number in range(30)]
    (tmp_path / "captions.csv").write_text("\n".join(["image,caption", *rows]))
    for number in range(30):
        (tmp_path / f"{number}.jpg").touch()
    expected = read_dataset(tmp_path).splits
    assert read_dataset(tmp_path, seed=7).splits != expected

    class SeenError(Exception):
        pass

    def seen(dataset, *more, **settings):
        raise SeenError(dataset.splits)

    monkeypatch.setattr(caption_run, "CaptionRun", seen)
    monkeypatch.setattr(split, "read_split", seen)
    monkeypatch.setattr(
        "captioner.models.networks.load_networks", lambda *more: (SimpleNamespace(config=ModelConfig()), None)
    )
    data = ["--data", str(tmp_path)]
    for command, argv in (
        (train, [*data, "--seed", "7"]),
        (evaluate, [*data, "--model", "saved", "--split", "dev"]),
    ):
        with pytest.raises(SeenError) as caught:
            command.run(command.make_parser("captioner").parse_args(argv))
        assert caught.value.args[0] == expected
