"""Names in any script: a second font where this machine has one, else a line that says what is missing."""

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from medbench.report.figures import glyphs, style


@pytest.fixture
def only_matplotlibs_fonts(monkeypatch):
    monkeypatch.setattr(fontManager, "ttflist", [font for font in fontManager.ttflist if "mpl-data" in font.fname])


def drawn(title: str) -> Figure:
    with mpl.rc_context(style.STYLE):
        figure = Figure(figsize=(2, 1))
        figure.subplots().set_title(title)
    return figure


def test_what_the_font_has_is_left_alone(tmp_path, capsys):
    figure = drawn("mélanome, Меланома, φ")
    style.save(figure, tmp_path / "a")
    assert figure.axes[0].title.get_fontfamily() == [glyphs.FONT]
    assert capsys.readouterr().err == "" and figure.texts == []


def test_a_letter_of_another_font_is_drawn_in_it(tmp_path, capsys, only_matplotlibs_fonts):
    figure = drawn("\u20dd ring")
    style.save(figure, tmp_path / "a")
    assert figure.axes[0].title.get_fontfamily()[0] == glyphs.FONT
    assert len(figure.axes[0].title.get_fontfamily()) == 2
    assert figure.texts == [] and "No font" not in capsys.readouterr().err


def test_letters_of_no_font_are_named_once(tmp_path, capsys, only_matplotlibs_fonts):
    figure = drawn("肺炎")
    style.save(figure, tmp_path / "a")
    said = "No font here has the letters U+708E, U+80BA: install one, such as Noto Sans"
    assert said in figure.texts[0].get_text()
    assert capsys.readouterr().err.count(said) == 1
    assert (tmp_path / "a.png").exists()
