"""A trained model in formats that other programs read without this package.

`caption_savedmodel`, `char_savedmodel`, `onnx`, `keras_file` and `bundle` write one format each, into a `directory`
that is replaced whole. `beam`, `draw`, `photos`, `orientation` and `calibration` are the graphs in a SavedModel.
`litert`, `int8`, `template` and `compact` write encoders.
"""
