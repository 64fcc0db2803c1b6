"""`train`: photos and captions, or a text, in; model directories out."""

import argparse
import logging
from pathlib import Path

from captioner.cli.arguments import chosen
from captioner.cli.train_options import given_settings, make_parser
from captioner.cli.train_settings import check_runs, configure, with_batch_size
from captioner.cli.train_text import run_text_task
from captioner.cli.training import load_training, run_training
from captioner.config import (
    CHAR_LM,
    COMPACT,
    FineTuningConfig,
    ImitationConfig,
    SelfCriticalConfig,
)
from captioner.data.encoder_weights import default_encoder_weights
from captioner.errors import UsageError
from captioner.locks import alone_in
from captioner.recipe import RunSettings, plan_runs, read_recipe

log = logging.getLogger(__name__)

__all__ = ["INTERRUPTED", "make_parser", "run"]

INTERRUPTED = "stopped; the finished epochs and the best model are kept; run the same command again to resume"


def run(arguments: argparse.Namespace) -> int:
    """Train what the recipe and the options ask for, one run after the other, and print the scores of each."""
    recipe = read_recipe(arguments.recipe) if arguments.recipe else None
    runs = plan_runs(recipe, given_settings(arguments))
    check_runs(runs)
    if arguments.encoder_weights != default_encoder_weights() and all(each.task == CHAR_LM for each in runs):
        raise UsageError(f"--encoder-weights: not for --task {CHAR_LM}; leave it out")
    for number, settings in enumerate(runs, start=1):
        if len(runs) > 1:
            log.info("run %d of %d: %s", number, len(runs), settings.path("output"))
        if settings.task == CHAR_LM:
            run_text_task(settings, arguments)
        else:
            _run_caption_task(settings, arguments)
        if number < len(runs):
            _clear_keras()
    return 0


def _run_caption_task(settings: RunSettings, arguments: argparse.Namespace) -> None:
    model, training = configure(settings)

    from captioner.data.flickr8k import find_or_download

    dataset = find_or_download(arguments.data, arguments.data_format)  # split alike whatever --seed, as evaluate does
    if training.limit:
        dataset = dataset.limited(training.limit)
    training = with_batch_size(training, settings, len(dataset.split("train")))
    log.info(dataset.report())

    kind = COMPACT if model.encoder.network == COMPACT else model.decoder.cell
    output = settings.path("output") or Path("saved_models") / f"{dataset.name}-{kind}"
    with alone_in(output, "training"):
        load_training(settings.values.get("strategy", "auto"))
        from captioner.cli.table import scores_table
        from captioner.training.caption_run import CaptionRun, Sources
        from captioner.training.captioning import CaptionTraining
        from captioner.training.compact import CompactTraining

        config = CaptionRun(
            dataset,
            model,
            output,
            training,
            FineTuningConfig(**chosen(settings.values, FineTuningConfig)),
            SelfCriticalConfig(**chosen(settings.values, SelfCriticalConfig)),
            ImitationConfig(**chosen(settings.values, ImitationConfig)),
            Sources(
                arguments.encoder_weights, settings.path("init_from"), settings.teachers, settings.path("features")
            ),
            settings.values.get("strategy", "auto"),
        )
        make = CompactTraining if kind == COMPACT else CaptionTraining
        print(scores_table(run_training(make(config), arguments)))


def _clear_keras() -> None:
    """Let go of the networks of a run that is over."""
    import keras

    keras.utils.clear_session()
