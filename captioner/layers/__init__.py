"""Keras layers in `keras.ops` alone, so that they run on every Keras backend.

Read `cells` (the recurrence), then `attention`, then `decoder`, which joins the two in one `step`. `stack` puts cells
one above the other, for the language model.
"""
