"""A chart is well-formed SVG with its points in the right places."""

from xml.etree import ElementTree

from bench.chart import BOTTOM, HEIGHT, TOP, svg
from bench.report import Chart

SVG = "{http://www.w3.org/2000/svg}"


def drawn(lines: dict[str, list[tuple[float, float]]], title: str = "Speed") -> ElementTree.Element:
    return ElementTree.fromstring(svg(Chart("speed", title, "events a request", "events/s", lines)))


def points(tree: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(each.attrib["cx"]), float(each.attrib["cy"])) for each in tree.iter(f"{SVG}circle")]


def test_tenfold_steps_are_equally_far_apart() -> None:
    (first, _), (second, _), (third, _) = points(drawn({"ours": [(1, 1), (10, 1), (100, 1)]}))
    assert second - first == third - second > 0


def test_zero_is_at_the_bottom_and_the_greatest_round_number_on_top() -> None:
    (_, low), (_, high) = points(drawn({"ours": [(1, 0), (10, 2_000)]}))
    assert (low, high) == (HEIGHT - BOTTOM, TOP)


def test_names_are_escaped_and_stand_beside_the_lines() -> None:
    tree = drawn({"p<50>": [(1, 1)], "p99": [(1, 2)]}, title="a & b")
    words = [each.text for each in tree.iter(f"{SVG}text")]
    assert {"a & b", "p<50>", "p99"} <= set(words)


def test_a_single_point_is_drawn() -> None:
    assert len(points(drawn({"ours": [(64, 5)]}))) == 1
