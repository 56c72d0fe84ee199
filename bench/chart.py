"""Draws a chart as SVG: lines over a logarithmic x axis, the y axis from zero."""

import math
from html import escape

from bench.report import Chart, number

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 80, 180, 40, 50
COLOURS = ("#1f6feb", "#d1480b", "#1a7f37", "#8250df", "#9a6700", "#57606a")
Y_STEPS = 4


def svg(chart: Chart) -> str:
    """Return the drawing of a chart that has at least one point."""
    points = [point for line in chart.lines.values() for point in line]
    place = _Scale(points)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _words(LEFT, 22, chart.title, size=15),
        _words(LEFT, HEIGHT - 12, chart.x),
        _words(8, TOP - 6, chart.y),
    ]
    for step in range(Y_STEPS + 1):
        value = place.y_max * step / Y_STEPS
        y = place.y(value)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#d0d7de"/>')
        parts.append(_words(LEFT - 8, y + 4, number(value), anchor="end"))
    below = HEIGHT - BOTTOM + 18
    parts += [_words(place.x(x), below, f"{x:,g}", anchor="middle") for x in sorted({x for x, _ in points})]
    for order, (name, line) in enumerate(chart.lines.items()):
        parts += _drawn(name, line, place, order)
    return "\n".join([*parts, "</svg>\n"])


class _Scale:
    """Where values stand on the drawing."""

    def __init__(self, points: list[tuple[float, float]]) -> None:
        logs = [math.log10(max(x, 1e-9)) for x, _ in points]
        self._least, self._span = min(logs), max(max(logs) - min(logs), 1e-9)
        self.y_max = _round_up(max(y for _, y in points))

    def x(self, value: float) -> float:
        share = (math.log10(max(value, 1e-9)) - self._least) / self._span
        return LEFT + 10 + share * (WIDTH - LEFT - RIGHT - 20)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - value / self.y_max * (HEIGHT - TOP - BOTTOM)


def _round_up(value: float) -> float:
    """Return the next 1, 2, 4, 5 or 8 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= value)


def _drawn(name: str, line: list[tuple[float, float]], place: _Scale, order: int) -> list[str]:
    colour = COLOURS[order % len(COLOURS)]
    at = [(place.x(x), place.y(y)) for x, y in sorted(line)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    legend_y = TOP + 10 + order * 20
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in at),
        f'<rect x="{WIDTH - RIGHT + 14}" y="{legend_y - 9}" width="12" height="4" fill="{colour}"/>',
        _words(WIDTH - RIGHT + 32, legend_y - 3, name),
    ]


def _words(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#1f2328">'
        f"{escape(text)}</text>"
    )
