"""The model card: what a model is, how it was made, and how well it performs. Begin with `caption_card`."""
