"""`train`: photos and captions, or a text, in; a model directory out."""

import argparse
import logging
from pathlib import Path

from captioner.cli.arguments import chosen
from captioner.cli.train_options import make_parser, refuse_other_task
from captioner.cli.train_settings import configure
from captioner.cli.train_text import run_text_task
from captioner.cli.training import load_training, run_training
from captioner.config import COMPACT, FineTuningConfig, ImitationConfig, SelfCriticalConfig
from captioner.locks import alone_in

__all__ = ["INTERRUPTED", "make_parser", "run"]

log = logging.getLogger(__name__)

INTERRUPTED = "stopped; finished epochs are kept, and the same command resumes after them"


def run(arguments: argparse.Namespace) -> int:
    """Train, and print the scores."""
    refuse_other_task(arguments)
    if arguments.task == "char-lm":
        return run_text_task(arguments)
    model, training = configure(arguments)

    from captioner.data.flickr8k import find_or_download

    dataset = find_or_download(arguments.data, arguments.data_format)  # split alike whatever --seed, as evaluate does
    if training.limit:
        dataset = dataset.limited(training.limit)
    log.info(dataset.report())

    kind = COMPACT if model.encoder.network == COMPACT else model.decoder.cell
    output = arguments.output or Path("saved_models") / f"{dataset.name}-{kind}"
    with alone_in(output, "training"):
        load_training()
        from captioner.cli.table import scores_table
        from captioner.training.caption_run import CaptionRun, Sources
        from captioner.training.captioning import CaptionTraining
        from captioner.training.compact import CompactTraining

        teachers = tuple(arguments.teacher or ())
        sources = Sources(arguments.encoder_weights, arguments.init_from, teachers, arguments.features)
        config = CaptionRun(
            dataset,
            model,
            output,
            training,
            FineTuningConfig(**chosen(arguments, FineTuningConfig)),
            SelfCriticalConfig(**chosen(arguments, SelfCriticalConfig)),
            ImitationConfig(**chosen(arguments, ImitationConfig)),
            sources,
            arguments.strategy or "auto",
        )
        make = CompactTraining if kind == COMPACT else CaptionTraining
        print(scores_table(run_training(make(config), arguments)))
    return 0
