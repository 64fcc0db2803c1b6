"""Data sets, and features of their photos, on disk; without Keras.

Begin with `dataset` (photos with their captions, in splits). `formats` reads the usual layouts of such data into it,
helped by `folder` (where the files lie), `text_files` and `tables` (opening them), `splits` (joining captions, photos
and splits) and `data_issues` (what was wrong). `flickr8k` finds Flickr8k or downloads it; `flickr8k_split` knows its
official split by the names alone. `store` keeps image features in a memory-mapped file. `corpus` is the text of a
language model.
"""
