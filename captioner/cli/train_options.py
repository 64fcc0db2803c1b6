"""What `train` can be asked for: its arguments, their help, and which task each belongs to."""

import argparse
from pathlib import Path

from captioner.cli.arguments import add_data, add_encoder_weights, add_setting
from captioner.cli.parser import Parser
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
  python train.py                                    # find or download Flickr8k, train, score, save
  python train.py --limit 500 --epochs 3             # a quick try
  python train.py --cell gru --output saved_models/mine
  python train.py --encoder MobileNetV3Large         # another network of keras.applications, frozen
  python train.py --task char-lm --text book.txt     # a language model of the characters of a text

  # continue with your own photos: a folder with a captions.csv (image,caption), or with dog.txt beside each dog.jpg
  python train.py --data my_photos --init-from saved_models/flickr8k --epochs 5

  # fine-tune the encoder's last layers too
  python train.py --epochs 0 --fine-tune-epochs 26 --fine-tune-rate 1e-3 --fine-tune-views 8

  # the best captions: models trained by the command above teach another one
  python train.py --epochs 0 --fine-tune-epochs 26 --fine-tune-rate 1e-3 --fine-tune-views 8 --dropout 0.2 \\
      --teacher saved_models/one saved_models/two saved_models/three

  # a small encoder of our own, which first imitates the teacher's; without --teacher, it learns from captions alone
  python train.py --encoder compact --teacher saved_models/flickr8k

After an interruption, run the same command again: it resumes. The first run reads every photo through InceptionV3 and
caches the features in ~/.cache/captioner (1.1 GB for Flickr8k); later runs start at once. docs/training.md tells more.
"""


def make_parser(program: str) -> argparse.ArgumentParser:
    """Describe the arguments."""
    parser = Parser(
        prog=program,
        description="Train a captioning model, print its scores on the dev split after each epoch, and save it.",
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
        f"leave words that occur less often out of the vocabulary; with --init-from: {INIT_FROM_MIN_COUNT}",
    )
    add_setting(
        data,
        DecodingConfig,
        "max_length",
        "the most words in a caption (characters where a language has no spaces), including the end token",
    )

    model = parser.add_argument_group("model")
    model.add_argument(
        "--init-from",
        metavar="DIR",
        type=Path,
        help="start from a trained model; keeps its sizes, dropout and vocabulary",
    )
    add_encoder_weights(model)
    data.add_argument(
        "--features",
        metavar="DIR",
        type=Path,
        help="use the features that `captioner bulk --features` wrote, instead of extracting them here",
    )
    model.add_argument(
        "--encoder",
        dest="network",
        choices=ENCODERS,
        metavar="NAME",
        help=f"the network that reads the photos: {COMPACT}, which is trained too, or one of keras.applications, "
        f"frozen (default: {EncoderConfig.network})",
    )
    add_setting(
        model,
        EncoderConfig,
        "feature_layer",
        "the encoder's layer whose output is used",
        f"{EncoderConfig.feature_layer}; for encoders other than InceptionV3, the last one with a grid",
    )
    add_setting(
        model,
        EncoderConfig,
        "image_size",
        "photos are resized to a square of this side, in pixels",
        f"the network's own: {EncoderConfig.image_size}, compact: {IMAGE_SIZES[COMPACT]}",
    )
    add_setting(model, DecoderConfig, "cell", "the recurrent cell", _defaults("cell"))
    add_setting(model, DecoderConfig, "hidden_size", "units of the recurrent state", _defaults("hidden_size"))
    add_setting(
        model, DecoderConfig, "embedding_dim", "size of a word's or character's embedding", _defaults("embedding_dim")
    )
    add_setting(model, DecoderConfig, "attention_dim", "units of the attention")
    add_setting(
        model, DecoderConfig, "dropout", "share of activations that are dropped in training", _defaults("dropout")
    )

    tuning = parser.add_argument_group(
        "fine-tuning the encoder",
        "After the cross-entropy on frozen features, the encoder's last layers are trained too. The output of the "
        "layers before them is cached in ~/.cache/captioner (2.7 GB per view for Flickr8k). The trained layers become "
        "part of the model.",
    )
    add_setting(tuning, FineTuningConfig, "fine_tune_epochs", "passes over the training photos")
    add_setting(
        tuning,
        EncoderConfig,
        "fine_tune_after",
        "all layers after this one are trained",
        f"{FINE_TUNE_AFTER} for InceptionV3; required for others",
    )
    add_setting(tuning, FineTuningConfig, "fine_tune_rate", "the decoder's peak learning rate in these passes")
    add_setting(tuning, FineTuningConfig, "encoder_rate", "the peak learning rate of the encoder's layers")
    add_setting(
        tuning,
        FineTuningConfig,
        "fine_tune_views",
        "views of each photo: the whole, its mirror image, then crops",
    )

    teaching = parser.add_argument_group(
        "teachers",
        "Trained models whose next-word probabilities are learned together with the captions: by a compact encoder "
        "(one teacher), or in fine-tuning (one or more). The probabilities are cached in ~/.cache/captioner.",
    )
    teaching.add_argument(
        "--teacher",
        metavar="DIR",
        type=Path,
        nargs="+",
        help="a trained model with a large encoder, such as saved_models/flickr8k, which uses --encoder-weights; for "
        "fine-tuning, one or more with the same encoder and vocabulary, such as trainings with other seeds",
    )
    add_setting(teaching, FineTuningConfig, "distillation", "share of the teachers in the training target")

    criticism = parser.add_argument_group(
        "self-critical training",
        "After the cross-entropy, the model samples captions. Those that agree better with the references (CIDEr-D) "
        "than the others become more likely.",
    )
    add_setting(criticism, SelfCriticalConfig, "self_critical_epochs", "passes over the training photos")
    add_setting(criticism, SelfCriticalConfig, "self_critical_rate", "the peak learning rate of these passes")
    add_setting(criticism, SelfCriticalConfig, "samples", "captions sampled per photo")
    add_setting(
        criticism, SelfCriticalConfig, "caption_weight", "weight of the references' cross-entropy beside the reward"
    )
    add_setting(criticism, SelfCriticalConfig, "captions_beside", "references per photo in a step")
    add_setting(criticism, SelfCriticalConfig, "bleu_weight", "share of BLEU-4 in the reward")

    compact = parser.add_argument_group(
        "compact encoder (--encoder compact)",
        "It is trained together with the decoder. With --teacher, it first imitates the teacher's encoder, and the "
        "decoder starts as a copy of the teacher's. Sizes, dropout and vocabulary are the teacher's; new words are "
        "added.",
    )
    add_setting(compact, ImitationConfig, "imitation_epochs", "passes over the photos before the training on captions")
    add_setting(compact, ImitationConfig, "imitation_rate", "the peak learning rate of the imitation")
    add_setting(compact, ImitationConfig, "imitation_weight", "weight of the imitation beside the captions")
    add_setting(compact, ImitationConfig, "captions_per_photo", "captions per photo in a step")

    training = parser.add_argument_group("training")
    add_setting(
        training,
        TrainingConfig,
        "views",
        "views of each photo that the encoder reads: the whole, its mirror image, then crops",
        _defaults("views"),
    )
    add_setting(training, TrainingConfig, "epochs", "passes over the training photos or text", _defaults("epochs"))
    add_setting(
        training,
        TrainingConfig,
        "batch_size",
        "photos per step, each with all its captions; or streams of text",
        _defaults("batch_size"),
    )
    add_setting(
        training,
        TrainingConfig,
        "learning_rate",
        f"the peak learning rate; with --init-from: {INIT_FROM_RATE:g}",
        _defaults("learning_rate"),
    )
    add_setting(
        training,
        TrainingConfig,
        "logit_adjustment",
        "subtract X times a word's log-frequency from its logit at the end; 0.05 makes rare words more likely",
    )
    add_setting(
        training,
        TrainingConfig,
        "precision",
        "auto is mixed_bfloat16 if the processor is faster in it, otherwise float32",
    )
    add_setting(
        training,
        TrainingConfig,
        "patience",
        "stop a stage of a captioning model after N epochs without a better CIDEr-D on dev",
    )
    add_setting(training, TrainingConfig, "seed", "seed of every random number")
    training.add_argument(
        "--strategy",
        choices=("auto", "mirrored"),
        help="mirrored trains on all GPUs of the machine, each with its part of a batch, in the stage of --epochs; "
        "auto does so if there are several (default: auto)",
    )
    training.add_argument(
        "--output",
        metavar="DIR",
        type=Path,
        help=f"model directory to write (default: saved_models/<data>-<cell>, or saved_models/<data>-{COMPACT})",
    )
    training.add_argument(
        "--no-resume", action="store_true", help="start from scratch instead of resuming a stopped run"
    )
    training.add_argument(
        "--profile", action="store_true", help="also write profile.md: where the time of an epoch went, by phase"
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
