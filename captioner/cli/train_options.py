"""What `train` can be asked for: its arguments, their help, and which task each belongs to."""

import argparse
from pathlib import Path

from captioner.cli.arguments import add_data, add_encoder_weights, add_setting
from captioner.cli.train_settings import (
    COMPACT_TRAINING,
    FINE_TUNE_AFTER,
    IMAGE_SIZES,
    IMITATION_OPTIONS,
    INIT_FROM_MIN_COUNT,
    INIT_FROM_RATE,
    LATER_OPTIONS,
    TAUGHT_OPTIONS,
    TAUGHT_TRAINING,
)
from captioner.cli.train_text import TEXT_OPTIONS, add_text_task
from captioner.config import (
    COMPACT,
    ENCODERS,
    CharModelConfig,
    CharTrainingConfig,
    DecoderConfig,
    DecodingConfig,
    EncoderConfig,
    FineTuningConfig,
    ImitationConfig,
    SelfCriticalConfig,
    TrainingConfig,
)
from captioner.errors import UsageError

CAPTION_OPTIONS = (
    *("limit", "views", "min_count", "logit_adjustment", "patience", "max_length", "init_from", "encoder_weights"),
    *("feature_layer", "attention_dim", "network", "image_size", "features", "strategy"),
    *(*TAUGHT_OPTIONS, *IMITATION_OPTIONS, *LATER_OPTIONS),
)
"""What only captioning models have."""

EXAMPLES = """\
examples:
  python train.py                                    find or download Flickr8k, train, score, save
  python train.py --limit 500 --epochs 3             a quick try
  python train.py --data my_photos --init-from saved_models/flickr8k --epochs 5
                                                     fine-tune on a folder with a captions.csv (image,caption)
  python train.py --cell gru --output saved_models/mine
  python train.py --epochs 0 --fine-tune-epochs 26 --fine-tune-rate 1e-3 --fine-tune-views 8
                                                     the encoder's last layers learn too
  python train.py --epochs 0 --fine-tune-epochs 26 --fine-tune-rate 1e-3 --fine-tune-views 8 --dropout 0.2
                  --teacher saved_models/one saved_models/two saved_models/three
                                                     the best captions: so trained models teach another
  python train.py --encoder compact --teacher saved_models/flickr8k
                                                     a small encoder of our own, which first learns to see what the
                                                     teacher sees; without --teacher from the captions alone
  python train.py --encoder MobileNetV3Large         another network of keras.applications, frozen
  python train.py --task char-lm --text book.txt     a language model of the characters of a text

Stopped or killed, the same command goes on. The first run reads every photo through InceptionV3 and keeps the features
in ~/.cache/captioner (1.1 GB for Flickr8k); later runs begin at once.
"""


def make_parser(program: str) -> argparse.ArgumentParser:
    """Describe the arguments."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Train a captioning model: features, training, dev scores after each epoch, saved model.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--task", choices=("caption", "char-lm"), default="caption", help="what to train (default: caption)"
    )
    data = parser.add_argument_group("data")
    add_data(data)
    add_setting(data, TrainingConfig, "limit", "use only the first N photos of each split; 0 uses all")
    add_setting(
        data,
        TrainingConfig,
        "min_count",
        f"words seen less often are left out of the vocabulary; with --init-from {INIT_FROM_MIN_COUNT}",
    )
    add_setting(data, DecodingConfig, "max_length", "the most words of a caption, its end counted")

    model = parser.add_argument_group("model")
    model.add_argument(
        "--init-from", metavar="DIR", type=Path, help="start from a trained model; keeps its sizes, dropout and words"
    )
    add_encoder_weights(model)
    data.add_argument(
        "--features",
        metavar="DIR",
        type=Path,
        help="take the features that `captioner bulk --features` wrote, instead of making them here in one file",
    )
    model.add_argument(
        "--encoder",
        dest="network",
        choices=ENCODERS,
        metavar="NAME",
        help=f"what reads the photos: {COMPACT}, which is trained along, or a network of keras.applications, frozen "
        f"(default: {EncoderConfig.network})",
    )
    add_setting(
        model,
        EncoderConfig,
        "feature_layer",
        "layer of the encoder that is read",
        f"{EncoderConfig.feature_layer}; of others than InceptionV3 the last with a grid",
    )
    add_setting(
        model,
        EncoderConfig,
        "image_size",
        "side of the square that photos are resized to",
        f"the network's own: {EncoderConfig.image_size}, compact: {IMAGE_SIZES[COMPACT]}",
    )
    add_setting(model, DecoderConfig, "cell", "the recurrence", _defaults("cell"))
    add_setting(model, DecoderConfig, "hidden_size", "units of the recurrent state", _defaults("hidden_size"))
    add_setting(
        model, DecoderConfig, "embedding_dim", "size of a word's or character's vector", _defaults("embedding_dim")
    )
    add_setting(model, DecoderConfig, "attention_dim", "size of the attention space")
    add_setting(model, DecoderConfig, "dropout", "share of activations dropped in training", _defaults("dropout"))

    tuning = parser.add_argument_group(
        "fine-tuning the encoder",
        "After the cross-entropy on frozen features the encoder's last layers are trained along. What the layers "
        "before see is kept in ~/.cache/captioner (2.7 GB a view for Flickr8k); the new layers are part of the model.",
    )
    add_setting(tuning, FineTuningConfig, "fine_tune_epochs", "passes over the training photos")
    add_setting(
        tuning,
        EncoderConfig,
        "fine_tune_after",
        "the layer behind which all are trained",
        f"{FINE_TUNE_AFTER} of InceptionV3; to be named for others",
    )
    add_setting(tuning, FineTuningConfig, "fine_tune_rate", "the decoder's highest learning rate in these passes")
    add_setting(tuning, FineTuningConfig, "encoder_rate", "that of the encoder's layers")
    add_setting(
        tuning,
        FineTuningConfig,
        "fine_tune_views",
        "parts of each photo that are read: the whole, its mirror image, then others",
    )

    teaching = parser.add_argument_group(
        "teachers",
        "Trained models whose probabilities of the next word are learned beside people's captions, by a compact "
        "encoder (one teacher) or in fine-tuning (one or more). What they say is kept in ~/.cache/captioner.",
    )
    teaching.add_argument(
        "--teacher",
        metavar="DIR",
        type=Path,
        nargs="+",
        help="a trained model with a large encoder, such as saved_models/flickr8k; --encoder-weights are its. For "
        "fine-tuning several with the same encoder and words, such as trainings with other seeds",
    )
    add_setting(teaching, FineTuningConfig, "distillation", "share of the teachers in what words to say")

    criticism = parser.add_argument_group(
        "self-critical training",
        "After the cross-entropy the model draws captions of its own, and those that agree better with a photo's "
        "captions (CIDEr-D) than the others become likelier.",
    )
    add_setting(criticism, SelfCriticalConfig, "self_critical_epochs", "passes over the training photos")
    add_setting(criticism, SelfCriticalConfig, "self_critical_rate", "the highest learning rate of these passes")
    add_setting(criticism, SelfCriticalConfig, "samples", "captions drawn for a photo each time")
    add_setting(criticism, SelfCriticalConfig, "caption_weight", "how much people's captions count beside the reward")
    add_setting(criticism, SelfCriticalConfig, "captions_beside", "captions of people that a photo brings to a step")
    add_setting(criticism, SelfCriticalConfig, "bleu_weight", "share of BLEU-4 in the reward")

    compact = parser.add_argument_group(
        "compact encoder (--encoder compact)",
        "It is trained along with the decoder. With --teacher it first imitates what the teacher's encoder sees, and "
        "the decoder starts as a copy of the teacher's; sizes, dropout and words are the teacher's, and new words are "
        "added.",
    )
    add_setting(compact, ImitationConfig, "imitation_epochs", "passes over the photos before the captions")
    add_setting(compact, ImitationConfig, "imitation_rate", "the highest learning rate of the imitation")
    add_setting(compact, ImitationConfig, "imitation_weight", "how much it counts beside the captions")
    add_setting(compact, ImitationConfig, "captions_per_photo", "captions that a photo brings to a step")

    training = parser.add_argument_group("training")
    add_setting(
        training,
        TrainingConfig,
        "views",
        "parts of each photo that the encoder reads: the whole, its mirror image, then others",
        _defaults("views"),
    )
    add_setting(training, TrainingConfig, "epochs", "passes over the training photos or text", _defaults("epochs"))
    add_setting(
        training,
        TrainingConfig,
        "batch_size",
        "photos a step, each with all its captions; or stretches of text",
        _defaults("batch_size"),
    )
    add_setting(
        training,
        TrainingConfig,
        "learning_rate",
        f"the highest; with --init-from {INIT_FROM_RATE:g}",
        _defaults("learning_rate"),
    )
    add_setting(
        training,
        TrainingConfig,
        "logit_adjustment",
        "so many times its log-frequency is taken off a word's logits at the end; 0.05 brings up rare words",
    )
    add_setting(
        training,
        TrainingConfig,
        "precision",
        "auto is mixed_bfloat16 where the processor is faster in it, else float32",
    )
    add_setting(
        training,
        TrainingConfig,
        "patience",
        "epochs without a better CIDEr-D on dev before a stage of a captioning model stops",
    )
    add_setting(training, TrainingConfig, "seed", "of every random number")
    training.add_argument(
        "--strategy",
        choices=("auto", "mirrored"),
        help="mirrored trains on all GPUs of the machine, each with its part of a batch, for as long as --epochs says; "
        "auto does so where there are several (default: auto)",
    )
    training.add_argument(
        "--output",
        metavar="DIR",
        type=Path,
        help=f"model directory to write (default: saved_models/<data>-<cell>, or saved_models/<data>-{COMPACT})",
    )
    training.add_argument("--no-resume", action="store_true", help="start over instead of going on with a stopped run")
    training.add_argument(
        "--profile", action="store_true", help="also write profile.md: where the time of an epoch went, phase by phase"
    )
    add_text_task(parser)
    return parser


def refuse_other_task(arguments: argparse.Namespace) -> None:
    """Raise UsageError when options were given that mean nothing to the task."""
    foreign = TEXT_OPTIONS if arguments.task == "caption" else CAPTION_OPTIONS
    parser = make_parser("train")
    given = [name for name in foreign if getattr(arguments, name) != parser.get_default(name)]
    if given:
        names = ", ".join("--encoder" if name == "network" else f"--{name.replace('_', '-')}" for name in given)
        other = "char-lm" if arguments.task == "caption" else "caption"
        raise UsageError(
            f"{names}: only for --task {other}, not for --task {arguments.task}; leave out one or the other"
        )


def _defaults(name: str) -> str:
    """Tell the default of a setting, and those of the other task and of the compact encoder where they differ."""
    caption = next(getattr(config, name) for config in (DecoderConfig, TrainingConfig) if hasattr(config, name))
    text = next(
        (getattr(config, name) for config in (CharModelConfig, CharTrainingConfig) if hasattr(config, name)), caption
    )
    taught, alone = (others.get(name, caption) for others in (TAUGHT_TRAINING, COMPACT_TRAINING))
    told = f"{caption}"
    if text != caption:
        told += f"; char-lm: {text}"
    if (taught, alone) != (caption, caption):
        told += f"; {COMPACT} with --teacher: {taught}, alone: {alone}"
    return told
