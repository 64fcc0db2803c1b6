"""The card of a character language model: what it is, how it was made, and how well it performs."""

from pathlib import Path
from typing import Any

from captioner.config.groups import CHAR_LM
from captioner.config.model import CharModelConfig
from captioner.config.training import CharTrainingConfig
from captioner.system.files import write_text
from captioner.system.printable import in_a_line, to_json
from captioner.training.card.front_matter import ENGLISH, Score, front_matter, licence, model_index
from captioner.training.card.sections import CELLS, CITATION, filled, place, reproduce
from captioner.training.card.settings_table import settings_table

SHAKESPEARE = "tinyshakespeare"
SOURCES = {
    SHAKESPEARE: "The text is tiny Shakespeare (A. Karpathy, The Unreasonable Effectiveness of Recurrent Neural "
    "Networks, 2015): 40,000 lines of Shakespeare's plays, which are in the public domain.",
    "flickr8k-captions": "The text is the captions of Flickr8k, which are for non-commercial research and education; "
    f"{CITATION}",
}


LIMITS = filled(
    "The model is for learning how recurrent networks work. It imitates the spelling and the style of its text, and "
    "knows no facts: do not believe what it writes. It repeats the prejudices of its text. A character that is not in "
    "the text counts as unknown."
)


def _front_matter(name: str, text: str, cell: str, scores: dict[str, dict[str, Any]]) -> str:
    """Return what hubs index the model by."""
    hub_scores: dict[str, list[Score]] = {
        part: [
            ("perplexity", "perplexity of a character", each["perplexity"]),
            ("bits_per_char", "bits a character", each["bits_per_char"]),
        ]
        for part, each in scores.items()
    }
    return front_matter(
        {
            "language": "en" if text in ENGLISH else None,
            **licence(text),
            "library_name": "captioner",
            "pipeline_tag": "text-generation",
            "tags": ["character-language-model", cell, "keras"],
            "datasets": [text],
            "metrics": ["perplexity"],
            "model-index": model_index(name, ("text-generation", "Text generation"), text, hub_scores),
        }
    )


def _introduction(name: str, text: str, model: CharModelConfig) -> str:
    """Say what the model is."""
    return filled(
        f"`{name}` writes text one character at a time, and computes how likely a text is. It is a {CELLS[model.cell]} "
        f"that has read `{text}`."
    )


def _use(name: str) -> str:
    """Say how to write text with the model, and how to ask it how likely a text is."""
    return f"""```sh
python predict.py --model {place(name)} --prompt "The" --length 200 --temperature 0.7
python predict.py --model {place(name)} --prompt "The" --suggest 5
```

From Python:

```python
from captioner.runtime.char_lm import LanguageModel

model = LanguageModel.load({to_json(f"saved_models/{name}")})
print("".join(model.generate("The", 200, temperature=0.7)))
```"""


def _table(scores: dict[str, dict[str, Any]]) -> str:
    """Lay the scores of each part of the text out as a table."""
    rows = [
        f"| {part}, {each['characters']:,} characters | {each['nats_per_char']:.4f} | {each['bits_per_char']:.4f} | "
        f"{each['perplexity']:.3f} |"
        for part, each in scores.items()
    ]
    return "\n".join(["| | nats a character | bits a character | perplexity |", "|---|---|---|---|", *rows])


def _network(model: CharModelConfig, metrics: dict[str, Any]) -> str:
    """Describe the network."""
    norm = "layer normalisation" if model.layer_norm else "no normalisation"
    dropped = f", and dropout {model.recurrent_dropout} of the weights from state to state" * bool(
        model.recurrent_dropout
    )
    return filled(
        f"- **Network**: {model.layers} layers of {CELLS[model.cell]}, {model.hidden_size} units each, with skip "
        f"connections, {norm} and dropout {model.dropout} after each layer{dropped}; character vectors of "
        f"{model.embedding_dim}; {model.vocabulary_size - 2} characters; {metrics['parameters']:,} parameters.",
        "  ",
    )


def _training(training: CharTrainingConfig, metrics: dict[str, Any]) -> str:
    """Describe the training."""
    return filled(
        f"- **Training**: truncated backpropagation through {training.sequence_length} characters, the state carried "
        f"from window to window; {training.batch_size} streams; AdamW at {training.learning_rate:g} with up to "
        f"{training.warmup_steps} warm-up steps and cosine decay, weight decay {training.weight_decay:g}, gradient "
        f"norm cut at {training.clip_norm:g}, moving average of the weights {training.ema_momentum:g}, "
        f"{training.precision}, seed {training.seed}. {_temperature(metrics)}Best epoch {metrics['best_epoch']} of "
        f"{metrics['epochs']}; {metrics['training_seconds'] / 60:.0f} minutes.",
        "  ",
    )


def _temperature(metrics: dict[str, Any]) -> str:
    """Say what the logits were divided by."""
    temperature = metrics.get("temperature", 1.0)
    if temperature == 1:
        return ""
    share = metrics["settings"]["temperature_share"]
    return f"The first {share:.0%} of the training part set the temperature {temperature:.3f} of the probabilities. "


def write_char_card(
    path: Path, text: str, model: CharModelConfig, training: CharTrainingConfig, metrics: dict[str, Any]
) -> None:
    """Write the model card as Markdown with front matter for hubs; `metrics` are those of metrics.json."""
    name, text = in_a_line(path.parent.name), in_a_line(text)
    scores = {part: each for part, each in (("validation", metrics), ("test", metrics.get("test"))) if each}
    settings = {key: value for key, value in metrics["settings"].items() if key != "text"}  # a checksum there
    source = {SHAKESPEARE: f"--text {SHAKESPEARE}", "flickr8k-captions": ""}.get(text, "--text FILE")
    write_text(
        path,
        f"""{_front_matter(name, text, model.cell, scores)}
# {name}: the next character, {CELLS[model.cell]}, trained on {text}

{_introduction(name, text, model)}

## How to use

{_use(name)}

## Intended use and limits

{LIMITS}

## Scores

{_table(scores)}

The text is split {training.split} as it stands, training part first. Each figure is of one stream: the part is read
from its first character to its last, the state carried all the way. The epoch was chosen on the validation part.

## How it was made

{_network(model, metrics)}
{_training(training, metrics)}

![Losses by epoch](training.png)

`history.csv` and `training.png` show every epoch, `metrics.json` all settings.

## Reproduce

{reproduce(name, metrics | {"settings": settings}, "" if metrics.get("recipe") else source)}

### Settings

{settings_table(CHAR_LM, settings)}

## Licence

{SOURCES.get(text, f"The model was trained on {text}; the terms of that text apply to it.")}
""",
    )
