"""What the stages of a training read: from photos and captions to batches.

`captions` reads the captions of a split as words, and `split` holds them, as tokens too, beside the features of the
photos. `features` reads photos through the encoder once (`row_cache`), in `views` where a training asks for more than
one; `augment` keeps photos as pixels. `distillation` and `teacher_regions` have what teachers say and see. `batches`
puts all of it together. `text_windows` are the batches of a text.
"""
