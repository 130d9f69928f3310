"""Letters that the font of all figures lacks: drawn in another one of this machine, or named."""

from functools import cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, findfont, fontManager, get_font
from matplotlib.text import Text

from medbench.run.logs import say

FONT = "DejaVu Sans"  # comes with matplotlib, so the picture is the same on every machine
PLACEHOLDERS = "Last Resort"  # matplotlib's own: a box for every letter


def fill_in(figure: Figure) -> None:
    """Gives the texts of a finished figure a second font where they need one.

    Letters that no font here has are named by number in the log and at the foot of the figure.
    """
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    used = {ord(letter) for text in texts for letter in text.get_text() if letter.isprintable()}
    missing = used - _letters(findfont(FONT))
    families = [FONT]
    for font in sorted(fontManager.ttflist, key=_plainest_first) if missing else ():
        if missing & _letters(font.fname):
            families.append(font.name)
            missing -= _letters(font.fname)
    for text in texts if len(families) > 1 else ():
        text.set_fontfamily(families)
    if missing:
        line = f"No font here has the letters {', '.join(f'U+{code:04X}' for code in sorted(missing)[:8])}"
        line += ": install one, such as Noto Sans, or set classes: {name: name to show}"
        say(f"figures: {line}")
        figure.text(0.005, 0.002, line, fontsize=4, color="0.3")


@cache
def _letters(path: str) -> frozenset[int]:
    font = get_font(path)
    return frozenset() if font.family_name.startswith(PLACEHOLDERS) else frozenset(font.get_charmap())


def _plainest_first(font: FontEntry) -> tuple[bool, bool, str, str]:
    return font.style != "normal", font.weight != 400, font.name, font.fname
