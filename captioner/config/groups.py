"""The names by which the help lists settings, and of the trainings that have other defaults."""

CAPTION, CHAR_LM = "caption", "char-lm"
"""What can be trained."""

DATA, MODEL, TRAINING = "data", "model", "training"
FINE_TUNING, TEACHERS, SELF_CRITICAL = "fine-tuning the encoder", "teachers", "self-critical training"
COMPACT_ENCODER, CHARACTERS = "compact encoder", "character language model"
SEARCH, GENERATION, SAMPLING, WORDING = "search", "generation", "sampling", "wording"
"""The groups in which the help lists settings. The last four belong to commands that use a model."""

COMPACT_ALONE, COMPACT_TAUGHT, INIT_FROM = "compact without --teacher", "compact with --teacher", "with --init-from"
"""The trainings in which some settings have another default."""
