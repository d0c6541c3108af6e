"""The few SVG elements that our drawings are made of, with every text escaped and measured.

A drawing is one file without scripts, fonts or links, so that it can be shown anywhere.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from reconciler.render.ink import clean

Point = tuple[float, float]

INK = "#1f2933"
FAINT = "#6b7785"
PAPER = "#ffffff"
RULE = "#dfe4ea"
_FONT = "font-family='DejaVu Sans,Verdana,Helvetica,Arial,sans-serif'"
_LETTER = 0.57
"""Width of a letter in the widest of these fonts, in ems, more than the mean: texts stay in their boxes."""


def text_width(text: str, size: float) -> float:
    """An upper estimate of how wide a text is."""
    return len(text) * size * _LETTER


def cut(text: str, size: float, room: float) -> str:
    """A text, shortened to fit a width."""
    most = max(1, int(room / (size * _LETTER)))
    safe = clean(text)
    return safe if len(safe) <= most else safe[: most - 1] + "…"


def text(
    at: Point,
    words: str,
    *,
    size: float = 12,
    fill: str = INK,
    bold: bool = False,
    anchor: str = "start",
    halo: bool = False,
) -> str:
    """Words with their baseline at this point; a halo keeps them readable on top of lines."""
    weight = " font-weight='600'" if bold else ""
    around = f" stroke='{PAPER}' stroke-width='4' paint-order='stroke'" if halo else ""
    return (
        f"<text x='{at[0]:.1f}' y='{at[1]:.1f}' font-size='{size:g}' fill='{fill}'"
        f" text-anchor='{anchor}'{weight}{around}>{escape(clean(words))}</text>"
    )


def box(
    corner: Point,
    size: Point,
    *,
    fill: str,
    stroke: str = "none",
    radius: float = 6,
    dashed: bool = False,
    title: str = "",
) -> str:
    """A rectangle with round corners; `title` shows when a pointer rests on it."""
    dash = " stroke-dasharray='5 4'" if dashed else ""
    inside = f"<title>{escape(clean(title))}</title>" if title else ""
    return (
        f"<rect x='{corner[0]:.1f}' y='{corner[1]:.1f}' width='{size[0]:.1f}' height='{size[1]:.1f}'"
        f" rx='{radius:g}' fill='{fill}' stroke='{stroke}'{dash}>{inside}</rect>"
    )


def curve(
    points: Sequence[Point],
    *,
    stroke: str,
    width: float = 1.5,
    dash: str = "",
    arrow: bool = False,
    opacity: float = 1,
) -> str:
    """A smooth line through points, level at both ends; with an arrow at its end if wanted."""
    path = [f"M{points[0][0]:.1f},{points[0][1]:.1f}"]
    for (x1, y1), (x2, y2) in pairwise(points):
        bend = max(abs(x2 - x1) / 2, 12.0)
        path.append(f"C{x1 + bend:.1f},{y1:.1f} {x2 - bend:.1f},{y2:.1f} {x2:.1f},{y2:.1f}")
    extra = f" stroke-dasharray='{dash}'" if dash else ""
    extra += f" marker-end='url(#arrow-{stroke[1:]})'" if arrow else ""
    extra += f" opacity='{opacity:g}'" if opacity < 1 else ""
    return f"<path d='{' '.join(path)}' fill='none' stroke='{stroke}' stroke-width='{width:g}'{extra}/>"


def segment(
    start: Point, end: Point, *, stroke: str = RULE, width: float = 1, dash: str = ""
) -> str:
    """A straight line."""
    extra = f" stroke-dasharray='{dash}'" if dash else ""
    return (
        f"<line x1='{start[0]:.1f}' y1='{start[1]:.1f}' x2='{end[0]:.1f}' y2='{end[1]:.1f}'"
        f" stroke='{stroke}' stroke-width='{width:g}'{extra}/>"
    )


def picture(size: Point, parts: Iterable[str], *, title: str, arrows: Iterable[str] = ()) -> str:
    """The whole file, on white paper, with arrow heads in the colours that are used."""
    heads = "".join(
        f"<marker id='arrow-{colour[1:]}' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='7'"
        f" markerHeight='7' orient='auto-start-reverse'><path d='M0,0.8 L10,5 L0,9.2 z'"
        f" fill='{colour}'/></marker>"
        for colour in arrows
    )
    width, height = size
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0f} {height:.0f}'"
        f" width='{width:.0f}' height='{height:.0f}' {_FONT} role='img'"
        f" aria-label={quoteattr(clean(title))}>\n"
        f"<defs>{heads}</defs>\n"
        f"<rect width='100%' height='100%' fill='{PAPER}'/>\n" + "\n".join(parts) + "\n</svg>\n"
    )
