"""Everything on disk: data sets, photos, model directories and the cache, without Keras.

Begin with `dataset` (photos with their captions, in splits). `formats` reads the usual layouts of such data into it,
helped by `folder` (where the files lie), `text_files` and `tables` (opening them), `splits` (joining captions, photos
and splits) and `data_issues` (what was wrong). `flickr8k` finds Flickr8k or downloads it; `flickr8k_split` knows its
official split by the names alone. `photos` finds photos and opens any of them safely as an RGB array:
`photo_structure` reads what a file says of itself, `photo_decoding` decodes what the pixels need, and `photo_process`
has that done by another process (`photo_worker`). `store` keeps image features in a memory-mapped file. `corpus` is
the text of a language model. `model_directory` reads and writes any model, `version_1` the layout of before, and
`upgrade` converts it.
"""
