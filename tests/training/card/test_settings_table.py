from captioner.config.groups import CAPTION, CHAR_LM
from captioner.training.card.settings_table import settings_table


def test_settings_that_differ_are_listed_with_their_help():
    settings = {
        "epochs": 13,
        "seed": 7,
        "network": "ResNet50",
        "teachers": ["one", "two"],
        "init_from": None,
        "data": "1",
    }
    heading, _, *table = settings_table(CAPTION, settings).splitlines()
    assert heading == "Those that differ from the defaults:"
    rows = [line.strip("| ").split(" | ") for line in table[2:]]
    assert {option: value for option, value, _ in rows} == {
        "`--encoder`": "ResNet50",
        "`--seed`": "7",
        "`--teacher`": "`one`, `two`",
    }
    assert all(len(explanation) > 10 for _, _, explanation in rows)


def test_defaults_are_not_listed():
    assert settings_table(CHAR_LM, {"layers": 2, "hidden_size": 512}) == "All settings have their defaults."
    assert "`--layers`" in settings_table(CHAR_LM, {"layers": 3})
    assert settings_table(CAPTION, {"epochs": 13}) == "All settings have their defaults."
