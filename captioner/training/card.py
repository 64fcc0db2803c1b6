"""The model card: what a model is, how it was made and how well it does, beside its weights."""

from pathlib import Path
from typing import Any

from captioner.config import COMPACT, ModelConfig, TrainingConfig
from captioner.files import write_text

LICENCES = {
    "flickr8k": "The model was trained on Flickr8k, whose photos and captions are for non-commercial research and "
    "education; cite M. Hodosh, P. Young and J. Hockenmaier, Framing Image Description as a Ranking Task, "
    "Journal of Artificial Intelligence Research 47 (2013)."
}


def _encoder(model: ModelConfig, metrics: dict[str, Any]) -> str:
    """Tell what reads the photos."""
    encoder, grid = model.encoder, f"{model.decoder.locations} places of {model.decoder.channels} channels"
    if encoder.network == COMPACT:
        story = ""
        if metrics["imitation"]:
            last = min(metrics["imitation"], key=lambda row: row["dev_places"])
            story = (
                f"\n  In {len(metrics['imitation'])} epochs it first learned to see what a teacher sees, of whose "
                f"variance on dev photos it then\n  explained {1 - last['dev_places']:.0%}."
            )
        return (
            f"- **Encoder**: a residual network of our own, {metrics['encoder_parameters']:,} parameters, trained from "
            f"random weights on the\n  same photos, which it reads at {encoder.image_size} x {encoder.image_size} "
            f"pixels ({grid}).{story}"
        )
    return (
        f"- **Encoder**: {encoder.network} with ImageNet weights, frozen, read at layer `{encoder.feature_layer}`\n"
        f"  ({grid}). Its weights are not in this directory."
    )


def write_card(path: Path, data: str, model: ModelConfig, training: TrainingConfig, metrics: dict[str, Any]) -> None:
    """Write the model card as Markdown; `metrics` are those of metrics.json."""
    decoder, decoding = model.decoder, model.decoding
    cell = {"rnn": "vanilla tanh RNN", "gru": "GRU", "lstm": "LSTM"}[decoder.cell]
    heading = (
        f"{metrics['images']} {metrics['split']} photos, beam {decoding.beam_width}, "
        f"length penalty {decoding.length_penalty}"
    )
    write_text(
        path,
        f"""# {path.parent.name}: captions of photos, {cell}, trained on {data}

| {heading} | |
|---|---|
| BLEU-1, 2, 3, 4 | {metrics["bleu1"]:.1f}, {metrics["bleu2"]:.1f}, {metrics["bleu3"]:.1f}, {metrics["bleu4"]:.1f} |
| ROUGE-L | {metrics["rouge_l"]:.1f} |
| CIDEr-D | {metrics["cider"]:.1f} |

Scores x 100, corpus level, all references, end token and punctuation not counted. Beam width and length penalty were
chosen on these same photos, and so was the epoch: expect a little less on photos that had no say.

{_encoder(model, metrics)}
- **Decoder**: {cell} of {decoder.hidden_size} units with Bahdanau attention ({decoder.attention_dim}), word vectors of
  {decoder.embedding_dim}, {decoder.vocabulary_size} words; {metrics["parameters"]:,} parameters.
- **Training**: cross-entropy with label smoothing {training.label_smoothing}, dropout {decoder.dropout}, AdamW at
  {training.learning_rate:g} with {training.warmup_steps} warm-up steps and cosine decay, weight decay
  {training.weight_decay:g}, gradient norm cut at {training.clip_norm:g}, moving average of the weights
  {training.ema_momentum:g}, {training.batch_size} photos a batch, seed {training.seed}. Best epoch
  {metrics["best_epoch"]} of {metrics["epochs"]}; {metrics["training_seconds"] / 60:.0f} minutes, scores included.
- **Limits**: it says what its training photos showed, with their words and their prejudices; it miscounts, mistakes
  colours, and guesses gender and activity. Read what it says before you publish it.

`history.csv` and `training.png` show every epoch, `metrics.json` all settings.

{LICENCES.get(data, f"The model was trained on {data}; the terms of that data apply to it.")}
""",
    )
