"""`train`: photos and captions, or a text, in; a model directory out."""

import argparse
import sys
from pathlib import Path

from captioner.cli.arguments import chosen
from captioner.cli.train_options import make_parser, refuse_other_task
from captioner.cli.train_settings import configure
from captioner.cli.train_text import run_text_task
from captioner.config import COMPACT, FineTuningConfig, ImitationConfig, ModelConfig, SelfCriticalConfig, TrainingConfig
from captioner.data.dataset import CaptionDataset
from captioner.locks import alone_in
from captioner.printable import in_a_line
from captioner.quiet import load_keras, stderr_closed

__all__ = ["INTERRUPTED", "make_parser", "run"]

INTERRUPTED = "stopped; finished epochs are kept, and the same command resumes after them"


def run(arguments: argparse.Namespace) -> int:
    """Train, and print the scores."""
    refuse_other_task(arguments)
    if arguments.task == "char-lm":
        return run_text_task(arguments, _report)
    model, training = configure(arguments)

    from captioner.data.flickr8k import find_or_download

    dataset = find_or_download(arguments.data, arguments.data_format)  # split alike whatever --seed, as evaluate does
    if training.limit:
        dataset = dataset.limited(training.limit)
    _report(dataset.report())

    kind = COMPACT if model.encoder.network == COMPACT else model.decoder.cell
    output = arguments.output or Path("saved_models") / f"{dataset.name}-{kind}"
    with alone_in(output, "training"):
        return _train(arguments, model, training, dataset, output)


def _train(
    arguments: argparse.Namespace, model: ModelConfig, training: TrainingConfig, dataset: CaptionDataset, output: Path
) -> int:
    with stderr_closed():
        load_keras()
    from captioner.cli.table import scores_table
    from captioner.training.profile import Profile
    from captioner.training.run import Run, train_captioner
    from captioner.training.shards import give_each_shard_its_core

    give_each_shard_its_core()
    if model.encoder.network == COMPACT:
        from captioner.training.joint_run import JointRun, train_jointly

        joint = JointRun(
            dataset,
            model,
            training,
            ImitationConfig(**chosen(arguments, ImitationConfig)),
            output,
            arguments.teacher and arguments.teacher[0],
            arguments.encoder_weights,
            arguments.init_from,
        )
        print(scores_table(train_jointly(joint, resume=not arguments.no_resume, report=_report)))
        return 0
    profile = Profile()
    metrics = train_captioner(
        Run(
            dataset,
            model,
            training,
            output,
            FineTuningConfig(**chosen(arguments, FineTuningConfig)),
            SelfCriticalConfig(**chosen(arguments, SelfCriticalConfig)),
            arguments.encoder_weights,
            arguments.init_from,
            arguments.features,
            arguments.strategy or "auto",
            tuple(arguments.teacher or ()),
        ),
        resume=not arguments.no_resume,
        report=_report,
        profile=profile,
    )
    if arguments.profile:
        profile.save(output / "profile.md")
        for line in profile.table().splitlines():
            _report(line)
    print(scores_table(metrics))
    return 0


def _report(line: str) -> None:
    print(in_a_line(line), file=sys.stderr, flush=True)
