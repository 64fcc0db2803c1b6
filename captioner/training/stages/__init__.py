"""The stages of a training, each in a file of its own, all run by `captioner.training.loop`."""
