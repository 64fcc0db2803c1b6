"""The files of models: directories, weights and int8 roundings, read and written without TensorFlow or Keras.

Begin with `directory`, which reads and writes the directory of any model, and `shipped`, which finds those that come
with the package. `version_1` describes the layout of before in the same terms, and `upgrade` converts it. `calibration`
and `ngram_regression` are what a model knows beside its networks. `weights_file` and `hdf5` hold arrays;
`inception_weights` reads ImageNet's, which `encoder_weights` finds and `encoder_download` fetches. `convolution` and
`roundings` take kernels to int8. `decoder_weights` has the decoder's shapes, and `encoder_memory` what an encoder
takes. `network_trial` runs a stranger's network once in a child process. `exports` recognises what is no model.
"""
