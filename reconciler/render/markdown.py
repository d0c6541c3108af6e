"""Words and names for Markdown on a forge, harmless whatever they hold: a reason may quote a script."""

from reconciler.render.ink import clean

_CELL_MOST = 300


def code(value: str) -> str:
    """A name in the letters of code."""
    return "`" + clean(value).replace("`", "'").replace("|", "¦") + "`"


def text(value: str) -> str:
    """Words that mean only themselves, cut where nobody would read on."""
    words = clean(value)
    words = words if len(words) <= _CELL_MOST else words[: _CELL_MOST - 1] + "…"
    for plain, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|")):
        words = words.replace(plain, safe)
    return "".join("\\" + letter if letter in "`*_[]#@" else letter for letter in words)
