"""Photos of strangers: find them, open them safely, and read and write their descriptions. Without Keras.

`finding` expands what a user typed into photos. `opening` opens any of them as an upright RGB array, and
`preprocessing` makes of that what the encoder sees. `structure` reads what a file says of itself, `decoding` decodes
what the pixels need within `limits`, and `process` has that done by another process (`worker`). `kinds` names the
formats, `streams` reads pipes, `heif` and `bit_depth` help `decoding`, `memory_budget` bounds what all take at once,
and `protocol` is how `process` talks to `worker`. `metadata` knows the places in a file that describe the photo.
"""
