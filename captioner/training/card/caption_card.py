"""The card of a captioning model."""

import textwrap
from pathlib import Path
from typing import Any

from captioner.config.groups import CAPTION
from captioner.config.model import COMPACT, ModelConfig
from captioner.config.training import TrainingConfig
from captioner.model_files.encoder_weights import INCEPTION
from captioner.system.files import write_text
from captioner.system.printable import in_a_line, to_json
from captioner.training.card.front_matter import ENGLISH, front_matter, licence, model_index
from captioner.training.card.sections import CELLS, CITATION, filled, place, reproduce
from captioner.training.card.settings_table import settings_table

LICENCES = {
    "flickr8k": "The model was trained on Flickr8k, whose photos and captions are for non-commercial research and "
    f"education; {CITATION}"
}
SCORES = (
    ("bleu", "BLEU-1", "bleu1"),
    ("bleu", "BLEU-2", "bleu2"),
    ("bleu", "BLEU-3", "bleu3"),
    ("bleu", "BLEU-4", "bleu4"),
    ("rouge", "ROUGE-L", "rouge_l"),
    ("cider", "CIDEr-D", "cider"),
)
"""Scores as hubs name them, as cards name them, and as metrics.json does."""


def _front_matter(name: str, data: str, model: ModelConfig, metrics: dict[str, Any]) -> str:
    """Return what hubs index the model by. Scores are of the dev split, on which epoch and search were chosen."""
    scores = [(kind, called, metrics[key]) for kind, called, key in SCORES]
    return front_matter(
        {
            "language": "en" if data in ENGLISH else None,
            **licence(data),
            "library_name": "captioner",
            "pipeline_tag": "image-to-text",
            "tags": ["image-captioning", "attention", model.decoder.cell, "keras", "litert"],
            "datasets": [data],
            "metrics": ["bleu", "rouge", "cider"],
            "model-index": model_index(name, ("image-to-text", "Image captioning"), data, {metrics["split"]: scores}),
        }
    )


def _introduction(name: str, data: str, model: ModelConfig) -> str:
    """Say what the model is."""
    encoder = model.encoder
    eyes = "a small residual network" if encoder.network == COMPACT else encoder.network
    tuned = ", whose last layers learned along," if encoder.fine_tune_after else ""
    known = "one English sentence" if data in ENGLISH else "one sentence"
    of = "Flickr8k" if data == "flickr8k" else f"`{data}`"
    return filled(
        f"`{name}` writes {known} about a photo. {eyes[0].upper()}{eyes[1:]}{tuned} turns the photo into a grid of "
        f"{model.decoder.locations} regions. Before each word, attention chooses the regions to look at, and a "
        f"{CELLS[model.decoder.cell]} writes the word. The model learned from the photos and captions of {of}."
    )


def _use(name: str, model: ModelConfig) -> str:
    """Say how to caption a photo."""
    network = model.encoder.network
    if network == COMPACT:
        needs = "All that the model needs is in its directory."
    elif network == INCEPTION:
        needs = (
            "The model needs InceptionV3's weights (87 MB), which are not in its directory. "
            "`python -m captioner download encoder` fetches them once."
        )
    else:
        needs = f"The model needs {network}'s weights, which are not in its directory. Keras downloads them once."
    return f"""{filled(f"Install Captioner, and name the directory of the model. {needs}")}

```sh
python predict.py photo.jpg --model {place(name)}
python predict.py photos/ --model {place(name)} --format csv --output captions.csv
```

From Python:

```python
from captioner import Captioner

captioner = Captioner.load({to_json(f"saved_models/{name}")})
caption = captioner("photo.jpg")
print(caption.text, caption.confidence, caption.familiar)
```"""


def _limits(name: str, data: str, metrics: dict[str, Any]) -> str:
    """Say what the model is for, which of its captions to trust, and what it gets wrong."""
    shown = "Flickr8k's photos show mostly dogs, children and sports. " if data == "flickr8k" else ""
    source = "" if data == "flickr8k" else " --data DIR"
    return f"""{
        filled(
            "The model is for learning, for research, and for captions that a person reads before they are used. "
            "People who cannot see the photo should not rely on them."
        )
    }

{
        filled(
            f"{shown}Of what its training photos did not show, the model says what looks closest. Two figures help you "
            "judge a caption. `confidence` is the share of its meaningful words that somebody who saw the photo would "
            "use, from 0 to 1. `familiar` says whether the photo looks like the training photos. Where both are "
            f"empty, `python -m captioner calibrate --model {place(name)}{source}` fits them. `docs/captions.md` "
            'explains them under "Which captions to trust".'
        )
    }

{_gets_wrong(metrics)}"""


def _scores(model: ModelConfig, metrics: dict[str, Any]) -> str:
    """Lay the scores out as a table, and say how they came about."""
    decoding = model.decoding
    heading = (
        f"{metrics['images']} {metrics['split']} photos, beam {decoding.beam_width}, "
        f"length penalty {decoding.length_penalty}"
        + (f", no {decoding.no_repeat_ngram_size}-gram twice" if decoding.no_repeat_ngram_size else "")
    )
    int8 = metrics.get("int8")
    in_int8 = (
        f"With the encoder in int8, and the network alone, BLEU-4 is {int8['bleu4']:.1f} and CIDEr-D "
        f"{int8['cider']:.1f}.\n\n"
        if int8
        else ""
    )
    return f"""| {heading} | |
|---|---|
| BLEU-1, 2, 3, 4 | {metrics["bleu1"]:.1f}, {metrics["bleu2"]:.1f}, {metrics["bleu3"]:.1f}, {metrics["bleu4"]:.1f} |
| ROUGE-L | {metrics["rouge_l"]:.1f} |
| CIDEr-D | {metrics["cider"]:.1f} |

{in_int8}{
        filled(
            "Scores x 100, corpus level, all references, end token and punctuation not counted. Beam width and length "
            "penalty were chosen on these same photos, and so was the epoch: expect slightly lower scores on other "
            "photos."
        )
    }"""


def _encoder(model: ModelConfig, metrics: dict[str, Any]) -> str:
    """Describe the encoder."""
    encoder, grid = model.encoder, f"{model.decoder.locations} regions of {model.decoder.channels} channels"
    if encoder.network == COMPACT:
        story = ""
        if metrics["imitation"]:
            kept = min(metrics["imitation"], key=lambda row: row["dev_regions"] + row["dev_keys"] + row["dev_mean"])
            story = (
                f"\n  In {len(metrics['imitation'])} epochs it first learned to see what a teacher sees, of whose "
                f"variance on dev photos it then\n  explained {1 - kept['dev_regions']:.0%}."
            )
        base = metrics["settings"].get("init_from")
        begun = f"those of `{Path(base).name}`" if base else "random weights"
        return (
            f"- **Encoder**: a residual network of our own, {metrics['encoder_parameters']:,} parameters, trained from "
            f"{begun} on the\n  same photos, which it reads at {encoder.image_size} x {encoder.image_size} "
            f"pixels ({grid}).{story}"
        )
    of_imagenet = f"- **Encoder**: {encoder.network} with ImageNet weights"
    if encoder.fine_tune_after:
        return (
            f"{of_imagenet}, read at layer `{encoder.feature_layer}` ({grid}).\n  What lies behind "
            f"`{encoder.fine_tune_after}`, {metrics['tuned_parameters']:,} parameters, was trained along and is in "
            "`encoder.npz`;\n  the rest is frozen, and not in this directory."
        )
    return (
        f"{of_imagenet}, frozen, read at layer `{encoder.feature_layer}`\n  ({grid}). Its weights are not in this "
        "directory."
    )


def _training(model: ModelConfig, training: TrainingConfig, metrics: dict[str, Any]) -> str:
    """Describe the training on captions, or say that there was none."""
    base = metrics["settings"].get("init_from")
    begun = f" Its first weights were those of `{Path(base).name}`." if base else ""
    if not metrics["epochs"]:
        return f"- **Training**: no epoch on captions.{begun}"
    rate = f" at {training.learning_rate:g}" if training.epochs else ""
    story = (
        f"- **Training**: cross-entropy with label smoothing {training.label_smoothing}, dropout "
        f"{model.decoder.dropout}, AdamW{rate} with up to {training.warmup_steps} warm-up steps and cosine decay, "
        f"weight decay {training.weight_decay:g}, gradient norm cut at {training.clip_norm:g}, moving average of the "
        f"weights up to {training.ema_momentum:g}, {training.batch_size} photos a batch, seed {training.seed}. Best "
        f"epoch {metrics['best_epoch']} of {metrics['epochs']}; {metrics['training_seconds'] / 60:.0f} minutes, scores "
        f"included.{begun}"
    )
    return textwrap.fill(story, 120, subsequent_indent="  ", break_on_hyphens=False)


def _stages(settings: dict[str, Any]) -> str:
    """Describe the stages after the cross-entropy on frozen features, and the adjustment of the logits."""
    lines = ""
    if settings.get("fine_tune_epochs"):
        epochs = settings["fine_tune_epochs"]
        when = f"then up to {epochs} epochs in which" if settings["epochs"] else "from the first epoch on"
        lines += (
            f"- **Fine-tuning**: {when} the encoder's layers behind `{settings['fine_tune_after']}` learned too, at\n"
            f"  {settings['encoder_rate']:g}, the decoder at {settings['fine_tune_rate']:g}; "
            f"{settings['fine_tune_views']} views of each photo.\n"
        )
        if settings.get("teachers"):
            names = ", ".join(f"`{Path(each).name}`" for each in settings["teachers"])
            lines += (
                f"- **Teachers**: {names}; the mean of their probabilities was {settings['distillation']:.0%} of what "
                "words to say,\n  people's captions the rest.\n"
            )
    if settings.get("self_critical_epochs"):
        bleu = settings.get("bleu_weight")
        when = "then up" if settings["epochs"] or settings.get("fine_tune_epochs") else "up"
        temperature = settings.get("self_critical_temperature", 1)
        drawn = f", drawn at temperature {temperature:g}" if temperature != 1 else ""
        reward = f"CIDEr-D and, by {bleu:.0%}, BLEU-4" if bleu else "CIDEr-D"
        rate = settings.get("self_critical_encoder_rate")
        encoder = f" The encoder's fine-tuned layers learned along at {rate:g}." if rate else ""
        lines += (
            f"- **Self-critical training**: {when} to {settings['self_critical_epochs']} epochs at "
            f"{settings['self_critical_rate']:g}, {settings['samples']} captions of its own a photo{drawn}, "
            f"rewarded by {reward};\n  cross-entropy of people's captions beside, at {settings['caption_weight']:g}."
            f"{encoder}\n"
        )
    if settings.get("logit_adjustment"):
        lines += f"- **Rare words**: {settings['logit_adjustment']:g} times its log-frequency is off a word's logits.\n"
    return lines


def _before(metrics: dict[str, Any]) -> str:
    """Describe the training of the model that this training started from."""
    before = metrics.get("before")
    if not before or not before.get("epochs"):
        return ""
    settings = before["settings"]
    stages = _stages(settings)
    return (
        f"\n`{Path(metrics['settings']['init_from']).name}` itself had learned in {before['epochs']} epochs, "
        f"the best being number {before['best_epoch']}, {before['training_seconds'] / 60:.0f} minutes, with seed "
        f"{settings.get('seed', 'unknown')}{':' if stages else '.'}\n{stages and chr(10) + stages}"
    )


def _where_all_stands(metrics: dict[str, Any]) -> str:
    """Describe which file holds which figures."""
    if not metrics["epochs"]:
        return "`metrics.json` all settings."
    earlier = metrics.get("epochs_before")
    first = f", the first {earlier} those of `{Path(metrics['settings']['init_from']).name}`" if earlier else ""
    return (
        f"![Losses and dev scores by epoch](training.png)\n\n"
        f"`history.csv` and `training.png` show every epoch{first}; `metrics.json` all settings."
    )


def _says(metrics: dict[str, Any]) -> str:
    return textwrap.fill(
        f"Of these {metrics['images']} captions, {metrics['copied']:.0f}% stand in the training captions word for "
        f"word. They use {metrics['distinct_words']} different words, {metrics['mean_length']:.1f} a caption. Those "
        "with the highest, median and lowest CIDEr-D, not hand-picked:",
        120,
    )


_PREJUDICE = (
    "The model repeats the words and the prejudices of its training captions, and mistakes unknown things for known "
    "ones. Read its captions before you publish them."
)


def _gets_wrong(metrics: dict[str, Any]) -> str:
    if metrics.get("name_any") == 0:  # older metrics do not count them
        return textwrap.fill(
            "None of these captions has an English word for a colour, a number, male or female, so nothing was counted "
            f"here. {_PREJUDICE}",
            120,
        )
    return textwrap.fill(
        f"Of the captions that name a colour, {metrics['groundless_colours']:.0f}% have one that nobody who described "
        f"the photo named; of those with a number, {metrics['groundless_numbers']:.0f}%. Of those that tell male from "
        f"female, {metrics['wrong_gender']:.0f}% contradict everybody who did. {_PREJUDICE}",
        120,
    )


def _examples(examples: dict[str, list[dict[str, Any]]]) -> str:
    """Lay examples out as a table."""
    rows = [
        f"| {name} | `{each['image']}` | {each['caption']} | {each['reference']} | {each['cider']:.0f} |"
        for name, some in examples.items()
        for each in some
    ]
    return "\n".join(["| | photo | caption | a person's | CIDEr-D |", "|---|---|---|---|---|", *rows])


def write_card(path: Path, data: str, model: ModelConfig, training: TrainingConfig, metrics: dict[str, Any]) -> None:
    """Write the model card as Markdown with front matter for hubs.

    Args:
        path: the card; the name of its directory is the model's.
        data: the name of the training data.
        model: encoder, decoder and search.
        training: epochs, rates, seed.
        metrics: those of metrics.json. Three are optional: `versions`, see
            `captioner.training.versions`; `recipe`, the file that made the model; and `int8`, with `bleu4` and `cider`
            as prediction has them.
    """
    name, data = in_a_line(path.parent.name), in_a_line(data)
    decoder = model.decoder
    cell = CELLS[decoder.cell]
    source = "" if data == "flickr8k" else "--data DIR"
    write_text(
        path,
        f"""{_front_matter(name, data, model, metrics)}
# {name}: captions of photos, {cell}, trained on {data}

{_introduction(name, data, model)}

## How to use

{_use(name, model)}

## Intended use and limits

{_limits(name, data, metrics)}

## Scores

{_scores(model, metrics)}

{_says(metrics)}

{_examples(metrics["examples"])}

## How it was made

{_encoder(model, metrics)}
- **Decoder**: {cell} of {decoder.hidden_size} units with Bahdanau attention ({decoder.attention_dim}), word vectors of
  {decoder.embedding_dim}, {decoder.vocabulary_size} words; {metrics["parameters"]:,} parameters.
{_training(model, training, metrics)}
{_stages(metrics["settings"])}{_before(metrics)}
{_where_all_stands(metrics)}

## Reproduce

{reproduce(name, metrics, source)}

### Settings

{settings_table(CAPTION, metrics["settings"])}

## Licence

{LICENCES.get(data, f"The model was trained on {data}; the terms of that data apply to it.")}
""",
    )
