"""What a character model writes before, during and after training, and what the shipped one writes.

The small model learns the text that `CAPTIONER_TEXT` names, by default the licence of this repository. The last tenth
of the text is held out.
"""

import os
import textwrap
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from captioner.config.model import CharModelConfig
from captioner.data.corpus import read_corpus
from captioner.models.char_lm import CharModel
from captioner.runtime.char_lm import LanguageModel
from captioner.runtime.char_network import CharNetwork
from captioner.text import CharacterVocabulary
from captioner.training.inputs.text_windows import TextWindows, validation_windows
from captioner.training.stages.char_lm import CharLoss, mean_loss
from captioner.training.step import Step
from docs.figures.style import BACKWARD, GREY, HIDDEN, new_figure, save, write_csv

ROOT = Path(__file__).parents[2]
EPOCHS, BATCH, WINDOW, SEED = 60, 8, 64, 0
SHOWN = (0, 3, 12, EPOCHS)
"""Epochs after which it writes."""

LENGTH, TEMPERATURE, LINE = 180, 0.8, 100


def draw(folder: Path) -> list[Path]:
    """Train the small model, let both write, and draw the losses above the samples."""
    corpus = read_corpus(os.environ.get("CAPTIONER_TEXT") or ROOT / "LICENSE")
    train, held_out = corpus.split([90, 10])
    vocabulary = CharacterVocabulary.build(train)
    streams = TextWindows(vocabulary.encode(train), BATCH, WINDOW)
    keras.utils.set_random_seed(SEED)
    config = CharModelConfig(layers=1, hidden_size=256, dropout=0.0, vocabulary_size=len(vocabulary))
    network = CharModel(config)
    optimizer = keras.optimizers.Adam(3e-3, global_clipnorm=1.0)
    optimizer.build(network.trainable_variables)
    training = Step(CharLoss(network), optimizer, network.trainable_variables)
    measuring = Step(CharLoss(network))

    def losses() -> tuple[float, float]:
        parts = (train, held_out)
        windows = (validation_windows(vocabulary.encode(part).astype(np.int32), WINDOW) for part in parts)
        return tuple(mean_loss(measuring, each) for each in windows)

    history, samples = [(0, *losses())], []
    for epoch in tqdm(range(EPOCHS + 1), desc="samples", unit="epoch", leave=False):
        if epoch:
            training.over(streams.epoch(SEED, epoch))
            history.append((epoch, *losses()))
        if epoch in SHOWN:
            model = LanguageModel(vocabulary, CharNetwork(config, network.named_weights()))
            name = "before training" if epoch == 0 else f"after {epoch} times through the text"
            samples.append((f"{name}: {history[-1][1]:.2f} nats per character on what it learns from", _written(model)))
    shipped = LanguageModel.load(ROOT / "saved_models" / "char-lm")
    samples.append(("the shipped model, saved_models/char-lm, which read a longer text", _written(shipped)))

    figure = new_figure(6.9)
    curve, texts = figure.subplots(2, 1, height_ratios=(1, 2.2))
    epochs, learnt, unseen = zip(*history, strict=True)
    curve.plot(epochs, learnt, color=HIDDEN, label="the nine tenths it learns from")
    curve.plot(epochs, unseen, color=BACKWARD, linestyle="--", label="the last tenth, held out")
    curve.plot(SHOWN, [learnt[epoch] for epoch in SHOWN], "o", color=HIDDEN, label="a sample below")
    curve.set(title=f"{corpus.name}: {len(corpus.text):,} characters", xlabel="times through the text", ylim=(0, None))
    curve.set(ylabel="nats per character", xlim=(-0.8, EPOCHS + 0.8))
    curve.legend(ncols=3, loc="upper right", fontsize=9.5)
    texts.set(xlim=(0, 1), ylim=(0, 1))
    texts.axis("off")
    for number, (title, text) in enumerate(samples):
        y = 1 - number / len(samples)
        texts.text(0, y, title, va="top", fontsize=9.5, fontweight="bold", color=GREY if number == 0 else HIDDEN)
        lines = textwrap.wrap(text, LINE, drop_whitespace=False)
        texts.text(0, y - 0.055, "\n".join(lines), va="top", fontsize=9.2, family="DejaVu Sans Mono", linespacing=1.35)
    written = "\n\n".join(f"{title}\n{textwrap.indent(text, '    ')}" for title, text in samples)
    (folder / "samples.txt").write_text(written + "\n", encoding="utf-8")
    table = write_csv(folder / "samples.csv", ("epoch", "nats_learnt", "nats_held_out"), history)
    return [save(figure, folder / "samples.svg"), table, folder / "samples.txt"]


def _written(model: LanguageModel) -> str:
    """Let a model write from nothing, with the line ends made visible."""
    characters = model.generate("", LENGTH, TEMPERATURE, rng=np.random.default_rng(SEED))
    return "".join(characters).replace("\n", "↵")
