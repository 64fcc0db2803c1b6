"""The card of a character language model: what it is, how it was made and how well it does, beside its weights."""

from pathlib import Path
from typing import Any

from captioner.config import CHAR_LM, CharModelConfig, CharTrainingConfig
from captioner.files import write_text
from captioner.training.settings_table import settings_table

SOURCES = {
    "tinyshakespeare": "The text is tiny Shakespeare (A. Karpathy, The Unreasonable Effectiveness of Recurrent Neural "
    "Networks, 2015): 40,000 lines of Shakespeare's plays, which are in the public domain.",
    "flickr8k-captions": "The text is the captions of Flickr8k, which are for non-commercial research and education; "
    "cite M. Hodosh, P. Young and J. Hockenmaier, Framing Image Description as a Ranking Task, Journal of Artificial "
    "Intelligence Research 47 (2013).",
}


def write_char_card(
    path: Path, text: str, model: CharModelConfig, training: CharTrainingConfig, metrics: dict[str, Any]
) -> None:
    """Write the model card as Markdown; `metrics` are those of metrics.json."""
    cell = {"rnn": "vanilla tanh RNN", "gru": "GRU", "lstm": "LSTM"}[model.cell]
    rows = "\n".join(
        f"| {name}, {scores['characters']:,} characters | {scores['nats_per_char']:.4f} | "
        f"{scores['bits_per_char']:.4f} | {scores['perplexity']:.3f} |"
        for name, scores in (("validation", metrics), ("test", metrics.get("test")))
        if scores
    )
    settings = {name: value for name, value in metrics["settings"].items() if name != "text"}  # a checksum there
    norm = "layer normalisation" if model.layer_norm else "no normalisation"
    write_text(
        path,
        f"""# {path.parent.name}: the next character, {cell}, trained on {text}

| | nats a character | bits a character | perplexity |
|---|---|---|---|
{rows}

The text is split {training.split} as it stands, training part first. Each figure is of one stream: the part is read
from its first character to its last, the state carried all the way. The epoch was chosen on the validation part.

- **Network**: {model.layers} layers of {cell}, {model.hidden_size} units each, with skip connections, {norm} and
  dropout {model.dropout} after each layer, and dropout {model.recurrent_dropout} of the weights from state to state;
  character vectors of {model.embedding_dim}; {model.vocabulary_size - 2} characters;
  {metrics["parameters"]:,} parameters.
- **Training**: truncated backpropagation through {training.sequence_length} characters, the state carried from window
  to window; {training.batch_size} streams; AdamW at {training.learning_rate:g} with up to {training.warmup_steps}
  warm-up steps and cosine decay, weight decay {training.weight_decay:g}, gradient norm cut at {training.clip_norm:g},
  moving average of the weights {training.ema_momentum:g}, {training.precision}, seed {training.seed}. Best epoch
  {metrics["best_epoch"]} of {metrics["epochs"]}; {metrics["training_seconds"] / 60:.0f} minutes.
- **Limits**: it knows the spelling and the manner of its text, not what it says.

## Settings

{settings_table(CHAR_LM, settings)}

`history.csv` and `training.png` show every epoch, `metrics.json` all settings.

{SOURCES.get(text, f"The model was trained on {text}; the terms of that text apply to it.")}
""",
    )
