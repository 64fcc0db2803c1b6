import subprocess
import sys
from itertools import islice, product

import numpy as np
import pytest

from captioner.model_files.directory import WEIGHTS, write_model
from captioner.runtime import char_lm as char_lm_module
from captioner.runtime.char_lm import LanguageModel, until


def log_prob(model, text):
    """ln p(text), a window for each character: the slow way."""
    network, vocabulary = model.network, model.vocabulary
    states, total, token = network.initial_states(1), 0.0, vocabulary.start
    for number in vocabulary.encode(text).tolist():
        log_probs, states = network(np.array([[token]]), states)
        total += float(log_probs[0, 0, number])
        token = number
    return total


def generated(model, *arguments, seed=0, **settings):
    return "".join(model.generate(*arguments, **settings, rng=np.random.default_rng(seed)))


def test_surprises_sum_to_the_log_probability_of_the_text(model):
    text = "나라 ab\ncd e" * 3
    surprisals = model.surprisals(text)
    assert surprisals.shape == (len(text),)
    assert -surprisals.sum() == pytest.approx(log_prob(model, text), rel=1e-5)
    # The chain rule: a prefix costs what it costs in the whole.
    np.testing.assert_allclose(model.surprisals(text[:7]), surprisals[:7], atol=1e-5)


def test_a_long_text_is_read_in_windows_and_that_changes_nothing(model, monkeypatch):
    text = "나라 ab\ncd e" * 5
    whole, prefetch_map = model.surprisals(text), generated(model, text, 20)
    monkeypatch.setattr(char_lm_module, "WINDOW", 7)
    told = []
    np.testing.assert_allclose(model.surprisals(text, told.append), whole, atol=1e-5)
    assert sum(told) == len(text)
    assert max(told) == 7
    assert generated(model, text, 20) == prefetch_map


def test_an_unknown_character_is_scored_as_such(model):
    found = model.surprisals("a?b")
    states = model.network.initial_states(1)
    a, b = model.vocabulary.encode("ab").tolist()
    log_probs, _ = model.network(np.array([[0, a, 1]]), states)
    np.testing.assert_allclose(found, -log_probs[0, [0, 1, 2], [a, 1, b]], atol=1e-6)


def test_a_seed_makes_a_text(model):
    assert generated(model, "ab", 40, seed=1) == generated(model, "ab", 40, seed=1)
    assert generated(model, "ab", 40, seed=1) != generated(model, "ab", 40, seed=2)
    assert len(generated(model, "ab", 40)) == 40
    assert set(generated(model, "", 500)) <= set(model.vocabulary.tokens[2:])
    assert generated(model, "ab", 0) == ""


def test_without_a_generator_texts_differ(model):
    assert len({"".join(model.generate("a", 30)) for _ in range(3)}) == 3


def test_at_temperature_0_the_likeliest_character_follows(model):
    text = "나라"
    for character in generated(model, text, 8, temperature=0):
        best = max(model.vocabulary.tokens[2:], key=lambda each: log_prob(model, text + each))
        assert character == best
        text += character


def test_characters_come_as_they_are_made(model):
    assert len(list(islice(model.generate("a", 10**9), 5))) == 5


def test_what_the_model_does_not_know_is_left_out_of_the_prompt(model):
    assert generated(model, "a?b!", 20) == generated(model, "ab", 20)
    assert generated(model, "?", 20) == generated(model, "", 20)


def test_suggestions_carry_the_probability_of_just_these_characters(model):
    found = model.suggest("나라 a", 12)
    probabilities = [each.probability for each in found]
    assert probabilities == sorted(probabilities, reverse=True)
    assert len({each.text for each in found}) == 12
    for each in found:
        assert each.text[-1].isspace()
        assert not any(character.isspace() for character in each.text[:-1])
        expected = np.exp(log_prob(model, "나라 a" + each.text) - log_prob(model, "나라 a"))
        assert each.probability == pytest.approx(expected, rel=1e-4)
    # None of up to three characters is likelier than the last of them, unless it is among them.
    letters = [token for token in model.vocabulary.tokens[2:] if not token.isspace()]
    others = ("".join([*body, end]) for n in range(3) for body in product(letters, repeat=n) for end in " \n")
    for text in set(others) - {each.text for each in found}:
        assert np.exp(log_prob(model, "나라 a" + text) - log_prob(model, "나라 a")) <= probabilities[-1] * 1.0001


def test_a_model_at_work_needs_no_framework(model, tmp_path):
    write_model(tmp_path, model.network.config, model.vocabulary, {WEIGHTS: model.network._weights})
    assert generated(LanguageModel.load(str(tmp_path)), "ab", 30) == generated(model, "ab", 30)
    code = f"""
import sys
from captioner.runtime.char_lm import LanguageModel
model = LanguageModel.load({str(tmp_path)!r})
assert len("".join(model.generate("ab", 5))) == 5
assert model.suggest("ab", 2) and len(model.surprisals("ab")) == 2
print(sorted({{name.split(".")[0] for name in sys.modules}} & {{"tensorflow", "keras", "jax", "torch", "pandas"}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ("", "abababc."),
        ("abc", "abababc"),
        ("ab", "ab"),
        ("a", "a"),
        ("bab", "abab"),
        ("x", "abababc."),
        (".", "abababc."),
    ],
)
def test_it_stops_behind_the_first_occurrence(stop, expected):
    assert "".join(until("abababc.", stop)) == expected


def test_nothing_is_made_behind_it():
    made = iter("ab\ncd")
    assert "".join(until(made, "\n")) == "ab\n"
    assert "".join(made) == "cd"


@pytest.mark.parametrize("adapt", [False, True])
def test_pieces_of_a_text_are_scored_as_the_whole(model, monkeypatch, adapt):
    monkeypatch.setattr(char_lm_module, "WINDOW", 8)
    text = "나라 ab\ncd e?" * 4
    whole = model.surprisals(text, adapt=adapt)
    for pieces in (list(text), [text[:5], "", text[5:30], text[30:]], iter([text])):
        found = list(model.stream_surprisals(pieces, adapt))
        assert "".join(characters for characters, _ in found) == text
        assert {len(characters) for characters, _ in found[:-1]} == {8}
        assert all(len(characters) == len(surprisals) for characters, surprisals in found)
        np.testing.assert_array_equal(np.concatenate([surprisals for _, surprisals in found]), whole)
    assert list(model.stream_surprisals([], adapt)) == []
    assert model.surprisals("", adapt=adapt).shape == (0,)


def test_a_stream_is_read_as_it_is_scored(model, monkeypatch):
    monkeypatch.setattr(char_lm_module, "WINDOW", 4)
    taken = []

    def pieces():
        for number in range(10**9):
            taken.append(number)
            yield "ab cd"

    for number, _ in enumerate(islice(model.stream_surprisals(pieces()), 20)):
        assert len(taken) <= (number + 1) * 4 / 5 + 1


def test_a_text_that_says_it_again_is_foretold(model):
    rng = np.random.default_rng(0)
    once = "".join(rng.choice(list("나라 ab\ncde"), 300))
    adapted = model.surprisals(once * 2, adapt=True)
    first, second = adapted[:300].mean(), adapted[300:].mean()
    assert second < 0.2 * first
    static = model.surprisals(once * 2)
    assert static[300:].mean() > 0.9 * static[:300].mean()
    # Nothing is kept from one call to the next, nor of the network's own weights.
    np.testing.assert_array_equal(model.surprisals(once * 2, adapt=True), adapted)
    np.testing.assert_array_equal(model.surprisals(once * 2), static)


def test_what_comes_later_changes_no_adapted_surprisal(model):
    text = "나라 ab\ncd e" * 6
    whole = model.surprisals(text, adapt=True)
    changed = model.surprisals(text[:40] + "e" * (len(text) - 40), adapt=True)
    np.testing.assert_array_equal(changed[:40], whole[:40])
    assert not np.array_equal(changed[40:], whole[40:])
