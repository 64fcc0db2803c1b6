"""Train a captioning model: `python train.py --help`."""

from captioner.cli.start import start

if __name__ == "__main__":
    start("python train.py", "train")
