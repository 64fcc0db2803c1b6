"""`train`: train models on photos and captions, or on a text."""

import argparse
import logging

from captioner.cli.train_options import given_manner, given_settings, make_parser
from captioner.cli.train_text import run_text_task
from captioner.config.groups import CHAR_LM
from captioner.config.recipe import RunSettings, plan_runs, read_recipe
from captioner.errors import UsageError
from captioner.model_files.encoder_weights import default_encoder_weights
from captioner.system.extras import require
from captioner.training.settings import check_runs, with_models
from captioner.training.start import RunOptions, train_captions

log = logging.getLogger(__name__)

__all__ = ["INTERRUPTED", "make_parser", "run"]

INTERRUPTED = "stopped; the finished epochs and the best model are kept; run the same command again to resume"


def run(arguments: argparse.Namespace) -> int:
    """Train the runs of the recipe and the options one after the other, and print the scores of each."""
    require("train", "training")
    recipe = read_recipe(arguments.recipe) if arguments.recipe else None
    runs = [with_models(each) for each in plan_runs(recipe, given_settings(arguments))]
    check_runs(runs)
    manner = given_manner(arguments)
    if arguments.encoder_weights != default_encoder_weights() and all(each.task == CHAR_LM for each in runs):
        raise UsageError(f"--encoder-weights: not for --task {CHAR_LM}; leave it out")
    for number, settings in enumerate(runs, start=1):
        if len(runs) > 1:
            log.info("run %d of %d: %s", number, len(runs), settings.path("output"))
        if settings.task == CHAR_LM:
            run_text_task(settings, arguments, manner)
        else:
            _run_caption_task(settings, arguments, manner)
        if number < len(runs):
            _clear_keras()
    return 0


def _run_caption_task(settings: RunSettings, arguments: argparse.Namespace, manner: RunOptions) -> None:
    from captioner.calibrate import calibrate_trained
    from captioner.cli.table import scores_table
    from captioner.data.flickr8k import find_or_download

    dataset = find_or_download(arguments.data, arguments.data_format)  # split alike whatever --seed, as evaluate does
    metrics = train_captions(settings, dataset, arguments.encoder_weights, manner, calibrate_trained)
    print(scores_table(metrics))


def _clear_keras() -> None:
    """Release the networks of a finished run."""
    import keras

    keras.utils.clear_session()
