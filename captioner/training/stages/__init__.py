"""The stages of a training, each in its own file, all run by `captioner.training.loop`."""
