"""A trained model in the forms that other programs read, which need nothing of this package."""
