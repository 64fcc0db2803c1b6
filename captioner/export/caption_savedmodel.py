"""The captioner as a SavedModel: bytes of photos in, captions out, in any process that has TensorFlow.

The arithmetic is that of `models.captioner.CaptionModel` and of its encoder, traced into graphs.
"""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from captioner.config.decoding import LONGEST_SEARCH, DecodingConfig
from captioner.config.model import ModelConfig
from captioner.decoding.wording import SPECIAL
from captioner.export.beam import Search, beam_search
from captioner.export.calibration import CalibrationGraph
from captioner.export.photos import read_photos
from captioner.export.savedmodel import save, scalar_inputs
from captioner.model_files.calibration import Calibration
from captioner.model_files.directory import CaptionerDirectory
from captioner.models.captioner import CaptionModel
from captioner.models.networks import load_networks
from captioner.text import FALSE_SPACES, SPECIAL_TOKENS, Vocabulary, is_unspaced


def export_caption_savedmodel(model: Path, encoder_weights: str, output: Path) -> None:
    """Write the captioning model in the directory `model` as a SavedModel with the signatures of `CaptionSavedModel`.

    Args:
        model: what `train.py` wrote.
        encoder_weights: a file with InceptionV3's weights, or "imagenet" for Keras's own.
        output: the directory to make; a former export there is replaced, whole or not at all.

    Raises:
        CaptionerError: the model or the weights cannot be read, `output` holds something else, or TensorFlow cannot
            write there.
        OSError: `output` cannot be made.
    """
    saved, encoder = load_networks(model, encoder_weights)
    known = CaptionerDirectory.read(model, quiet=True).calibration()
    module = CaptionSavedModel(saved.config, saved.vocabulary, saved.network, encoder, known)
    save(module, module.signatures(), output, model="captioner")


class CaptionSavedModel(tf.Module):
    """A captioner with its encoder and its vocabulary, as TensorFlow functions.

    B is the size of the batch, any; N the captions of a photo, T the words of the longest caption, L the places of the
    encoder's grid, row by row.

    Signatures:
        serving_default: `photos`, string (B,), the bytes of JPEG and PNG files of any sizes -> `caption`, string (B,),
            and `score`, float32 (B,). A server may join the rows of several requests in one batch and part the answer
            again, since there is no other input, and what is said of a photo does not depend on those beside it. Where
            `known` is given, `confidence`, float32 (B,), and `familiar`, bool (B,), too.
        caption_files: `photos`, as above.
        caption_images: `images`, float32 (B, S, S, 3) in [-1, 1], as `photos.preprocessing.preprocess` gives them.

    The last two also take the scalars `num_captions` int32, 1 where it is not given, and `beam_width` int32,
    `length_penalty` float32, `max_length` and `no_repeat_ngram_size` int32, which are the model's own where they are
    not given; the beam is as wide as captions are asked for, at least. Its width times `max_length` is at most
    `LONGEST_SEARCH`, else an InvalidArgumentError says so. Both return, for each photo the best caption first,

        captions: string (B, N).
        scores: float32 (B, N), log-probability / length ** length_penalty, natural logarithm; -inf, with "" for a
            caption, where there are fewer than N.
        words: string (B, N, T), the captions' words, "" behind the last.
        attention: float32 (B, N, T, L), where the model looked before each word: weights that sum to 1 over L, 0
            behind the last word.
        confidence: float32 (B, N), the expected share of right content words, NaN where there are fewer
            than N captions; where `known` is given.
        familiar: bool (B,), whether the photo is like those that the model learned from; where `known` is given.

    Args:
        config: the size of the images, and how to search.
        vocabulary: the words behind the numbers.
        network: the decoder.
        encoder: images (B, S, S, 3) to features (B, L, D).
        known: confidence and familiarity; None where the model has none.
    """

    def __init__(
        self,
        config: ModelConfig,
        vocabulary: Vocabulary,
        network: CaptionModel,
        encoder: keras.Model,
        known: Calibration | None = None,
    ) -> None:
        super().__init__(name="captioner")
        # Functions, since TensorFlow would save a Keras model with all that it is made of; its variables are enough.
        self._encode = lambda images: encoder(images, training=False)
        self._begin = network.begin
        self.weights = [variable.value for part in (encoder, network) for variable in part.variables]
        size = config.encoder.image_size
        spoken = [*[""] * len(SPECIAL_TOKENS), *vocabulary.tokens[len(SPECIAL_TOKENS) :]]
        self.words = tf.constant([word.encode("utf-8", errors="surrogatepass") for word in spoken])  # (V,)
        self._false_spaces = FALSE_SPACES if any(map(is_unspaced, spoken)) else ()
        self._decoding = config.decoding
        self.calibration = CalibrationGraph(known) if known else None
        self.caption_files = self._captions_of("photos", (None,), tf.string, lambda files: read_photos(files, size))
        self.caption_images = self._captions_of("images", (None, size, size, 3), tf.float32, tf.identity)
        photos = tf.TensorSpec((None,), tf.string, "photos")
        self.serving_default = tf.function(self._best_captions, input_signature=[photos], autograph=False)

    def signatures(self) -> dict[str, Any]:
        """Return the functions by the names of their signatures."""
        return {
            tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY: self.serving_default,
            "caption_files": self.caption_files,
            "caption_images": self.caption_images,
        }

    def _best_captions(self, photos: Any) -> dict[str, Any]:
        """Return the best caption of each photo, string (B,), under the model's own settings."""
        found = self.caption_files(photos)
        names = {"caption": "captions", "score": "scores", "confidence": "confidence"}
        best = {name: found[each][:, 0] for name, each in names.items() if each in found}
        return best | {name: found[name] for name in ("familiar",) if name in found}

    def _captions_of(self, name: str, shape: tuple[int | None, ...], kind: tf.DType, read: Callable[[Any], Any]) -> Any:
        """Make the function that captions what `read` makes images (B, S, S, 3) of."""
        settings = {"num_captions": tf.constant(1)} | {
            field.name: tf.constant(getattr(self._decoding, field.name)) for field in fields(DecodingConfig)
        }

        def caption(
            photos: Any,
            num_captions: Any = settings["num_captions"],  # a signature keeps a default that is a tensor, and no other
            beam_width: Any = settings["beam_width"],
            length_penalty: Any = settings["length_penalty"],
            max_length: Any = settings["max_length"],
            no_repeat_ngram_size: Any = settings["no_repeat_ngram_size"],
        ) -> dict[str, Any]:
            wanted = tf.maximum(beam_width, num_captions)
            checks = [
                tf.debugging.assert_positive(num_captions, "num_captions: expected 1 or more"),
                tf.debugging.assert_positive(beam_width, "beam_width: expected 1 or more"),
                tf.debugging.assert_non_negative(length_penalty, "length_penalty: expected 0 or more"),
                tf.debugging.assert_positive(max_length, "max_length: expected 1 or more"),
                tf.debugging.assert_non_negative(no_repeat_ngram_size, "no_repeat_ngram_size: expected 0 or more"),
                tf.debugging.assert_less_equal(
                    tf.cast(wanted, tf.int64) * tf.cast(max_length, tf.int64),
                    tf.constant(LONGEST_SEARCH, tf.int64),
                    f"beam_width, or num_captions, times max_length: expected at most {LONGEST_SEARCH} words to "
                    "follow; ask for a narrower beam, fewer captions, or shorter ones",
                ),
            ]
            with tf.control_dependencies(checks):
                photos, beam_width = tf.identity(photos), tf.identity(wanted)
            penalty = tf.cast(length_penalty, tf.float64)
            search = Search(beam_width, penalty, max_length, no_repeat_ngram_size, num_captions)
            images = read(photos)
            count = tf.shape(images)[0]
            # No convolution takes an empty batch in every graph that TensorFlow rewrites
            blank = tf.zeros((tf.cast(tf.equal(count, 0), tf.int32), *images.shape[1:]))
            images = tf.concat([images, blank], axis=0)
            found = self._search(self._encode(images), search)
            return {name: value[:count] for name, value in found.items()}

        inputs = [tf.TensorSpec(shape, kind, name), *scalar_inputs(settings)]
        return tf.function(caption, input_signature=inputs, autograph=False)

    def _search(self, features: Any, search: Search) -> dict[str, Any]:
        """Find the captions of images with features (B, L, D), and put them in words."""
        step, states = self._begin(features)
        found = beam_search(step, states, SPECIAL, search)
        words = tf.gather(self.words, found.tokens)  # (B, N, T)
        captions = tf.strings.strip(tf.strings.reduce_join(words, axis=-1, separator=" "))
        for pattern in self._false_spaces:
            captions = tf.strings.regex_replace(captions, pattern, r"\1\2")
        about = {
            "captions": captions,
            "scores": tf.cast(found.scores, tf.float32),
            "words": words,
            "attention": found.attention,
        }
        if self.calibration:
            counted = found.lengths + tf.cast(found.finished, tf.int32)
            about["confidence"] = self.calibration.confidence(found.log_probs, counted)
            about["familiar"] = self.calibration.is_familiar(features)
        return about
