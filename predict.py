"""Caption photos: `python predict.py photo.jpg`, `python predict.py --help`."""

import sys

from captioner.cli.main import run_command

if __name__ == "__main__":
    sys.exit(run_command("predict", sys.argv[1:], "python predict.py"))
