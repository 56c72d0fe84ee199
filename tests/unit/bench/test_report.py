"""Tables and figures as people read them."""

import pytest

from bench.report import Table, markdown, number, spread
from bench.spread import Spread


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0.00"), (3.14159, "3.14"), (31.4159, "31.4"), (31_415.9, "31,416")]
)
def test_figures_keep_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_spread_shows_the_median_first() -> None:
    assert spread(Spread(1, 20, 300)) == "20.0 (1.00–300)"


def test_a_table_is_markdown_with_aligned_columns() -> None:
    table = Table(["side", "events/s"], [["peer", 1_000], ["ours", 12.5]], "Speed")
    assert markdown(table).splitlines() == [
        "**Speed**",
        "",
        "| side | events/s |",
        "| ---- | -------- |",
        "| peer | 1,000    |",
        "| ours | 12.5     |",
    ]
