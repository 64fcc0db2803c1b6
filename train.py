"""Train a captioning model: `python train.py --help`."""

import sys

from captioner.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("train", sys.argv[1:], "python train.py"))
