"""The cheap figures are made anew; the long ones are only imported by `make figures`."""

import sys

import pytest

from docs.figures.make import NAMED, main


@pytest.mark.parametrize("name", ["tanh", "unfolding", "truncation"])
def test_a_figure_is_made_and_twice_the_same(name, tmp_path, monkeypatch, capsys):
    contents = []
    for folder in ("first", "second"):
        monkeypatch.setattr(sys, "argv", ["make.py", "--output", str(tmp_path / folder), name])
        main()
        contents.append((tmp_path / folder / f"{name}.svg").read_bytes())
    assert contents[0] == contents[1]
    assert contents[0].lstrip().startswith(b"<?xml")
    assert capsys.readouterr().out.count(f"{name}: {name}.svg") == 2


def test_an_unknown_name_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["make.py", "mona_lisa"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert f"no figure is called mona_lisa; there are {', '.join(NAMED)}" in capsys.readouterr().err
