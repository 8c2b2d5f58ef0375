"""Draw a run as SVG: its calibration and each item's kappa with its interval."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final

from tests.evaluation.agreement import Bin, Estimate

SIDE: Final = 260
"""The side of the calibration's square in pixels."""
ROW: Final = 16
LABELS: Final = 210
BARS: Final = 320
MARGIN: Final = 50


def svg(runs: Mapping[str, tuple[Sequence[Bin], Mapping[str, Estimate]]]) -> str:
    """Draw the runs below each other: the calibration bins, and kappa by item."""
    parts: list[str] = []
    top = 0
    for name, (bins, items) in runs.items():
        height = MARGIN * 2 + max(SIDE, ROW * len(items))
        parts.append(f'<g transform="translate({MARGIN} {top + MARGIN})">{_text(0, -24, name, "bold")}')
        parts += [*_calibration(bins), *_items(items), "</g>"]
        top += height
    width = MARGIN * 3 + SIDE + LABELS + BARS
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top}" font-family="sans-serif">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])


def _calibration(bins: Sequence[Bin]) -> Iterator[str]:
    """Draw a disc per bin, as large as its share of levels. A calibrated bin is on the diagonal."""
    yield f'<rect width="{SIDE}" height="{SIDE}" fill="none" stroke="#999"/>'
    yield _line(0, SIDE, SIDE, 0, "#999")
    yield _text(0, -6, "share right, by confidence")
    yield _text(0, SIDE + 16, "0") + _text(SIDE - 8, SIDE + 16, "1")
    levels = sum(each.levels for each in bins)
    for each in bins:
        radius = 3 + 22 * (each.levels / levels) ** 0.5
        x, y = each.confidence * SIDE, (1 - each.right) * SIDE
        title = f"<title>{each.levels} levels, confidence {each.confidence:.2f}, right {each.right:.2f}</title>"
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="#1f77b4" fill-opacity="0.6">{title}</circle>'


def _items(items: Mapping[str, Estimate]) -> Iterator[str]:
    left = SIDE + MARGIN + LABELS
    yield _text(left, -6, "kappa, with its 95 % interval")
    for place, share in enumerate((0.0, 0.5, 1.0)):
        yield _line(left + share * BARS, 0, left + share * BARS, ROW * len(items), "#ddd" if place else "#999")
    for place, (name, found) in enumerate(items.items()):
        y = ROW * place + ROW / 2
        yield _text(left - LABELS, y + 4, name)
        if found.value == found.value:  # is a number
            low, value, high = (left + max(-0.1, each) * BARS for each in (found.low, found.value, found.high))
            yield _line(low, y, high, y, "#1f77b4")
            yield f'<circle cx="{value:.1f}" cy="{y:.1f}" r="4" fill="#1f77b4"/>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" font-weight="{weight}">{escape(text)}</text>'
