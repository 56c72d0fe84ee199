"""The sections' results: what is broken, what is wrong, and that the page shows all of it."""

import msgspec
from msgspec.structs import replace

from bench import pages
from bench.report import Machine, Run, Section
from bench.rounds import Round
from bench.sections import catchup, freshness, gateway, growth, worker

FIGURES = dict.fromkeys((*gateway.COLUMNS, "load_cpu_s_per_million_requests"), 1.0)


def rounds(landed: int = 5) -> list[Round]:
    return [
        Round(side, size, acked=5, landed=landed, failed={}, figures=FIGURES)
        for side in ("granian-2", "peer")
        for size in gateway.SIZES
    ]


def step(**changed: float) -> freshness.Step:
    return {
        **dict.fromkeys(freshness.COLUMNS, 1.0),
        "offered_s": 100.0,
        "acked_s": 100.0,
        "missing": 0.0,
        **changed,
    }


def test_a_round_that_lost_an_event_is_told() -> None:
    assert gateway.section(rounds(), 1.0).figures["landed_equals_acked"] is True
    assert gateway.section(rounds(landed=4), 1.0).figures["landed_equals_acked"] is False


def test_an_offer_is_broken_by_lateness_or_by_refusals() -> None:
    assert not freshness.broken(step())
    assert freshness.broken(step(acked_s=97.0))
    assert freshness.broken(step(fresh_p99_s=10.1))
    assert freshness.broken(step(missing=1.0))


def test_a_broken_step_is_in_the_table_and_not_in_the_chart() -> None:
    made = freshness.section({"production shape": [step(), step(offered_s=200.0)]}, 1.0)
    assert [row[-1] for row in made.tables[0].rows] == ["kept up", "broken"]
    assert made.charts[0].lines["production shape p50"] == [(100.0, 1.0)]


def test_the_page_shows_every_section_of_a_run_that_was_saved() -> None:
    taken = {1: [dict.fromkeys(worker.COLUMNS, 1.0)]}
    grown = {1: dict.fromkeys(growth.COLUMNS, 2.0)}
    behind = {"usual_backlog_events": 1.0, "backlog_events": 9.0, "caught_up_s": 3.0, "stored_events_s": 4.0}
    sections = [
        gateway.section(rounds(), 1.0),
        worker.section(taken, 10),
        catchup.section(behind, 3, 1.0),
        growth.section("tenants", grown, 10),
    ]
    machine = Machine("2026-01-02", "a CPU", 2, 8.0, "6.1", {"python": "3.11"}, "abc", [3.5, 1, 1])
    run = msgspec.json.decode(msgspec.json.encode(Run("make bench", machine, sections)), type=Run)
    page = pages.text([run])
    assert [section.title for section in sections if f"## {section.title}" not in page] == []
    assert "![Events acknowledged a second](performance/gateway.svg)" in page
    assert "not final" in page


def test_of_a_section_in_several_runs_the_last_one_is_shown() -> None:
    machine = Machine("2026-01-02", "a CPU", 2, 8.0, "6.1", {"python": "3.11"}, "abc", [0.5, 1, 1])

    def run(commit: str, title: str) -> Run:
        return Run("make bench", replace(machine, commit=commit), [Section("worker", title, {})])

    page = pages.text([run("abc", "Before"), run("def", "After")])
    assert "commit `abc`" in page
    assert "commit `def`" in page
    assert "## After" in page
    assert "## Before" not in page
