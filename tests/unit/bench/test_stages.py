"""Costs of the stages: what counts as a stage, and what is added up."""

from bench.sections.stages import section


def test_only_stages_are_added_up() -> None:
    costs = {"decode": [5.0], "tenant": [1.0, 3.0, 2.0], "geo": [0.5], "rows": [4.0], "insert": [9.0]}
    first = {name: [each + 1 for each in of] for name, of in costs.items()}
    made = section(first, costs, events=100)
    assert made.figures["stages_together_us"] == 2.5
    assert made.tables[0].rows[-1] == ["all stages together", "2.50", "4.50"]
    assert [row[0] for row in made.tables[0].rows[:-1]] == list(costs)
