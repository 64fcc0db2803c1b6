"""Caption photos: `python predict.py photo.jpg`, `python predict.py --help`."""

from captioner.cli.start import start

if __name__ == "__main__":
    start("python predict.py", "predict")
