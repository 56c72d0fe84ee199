"""What exists is documented, and what is documented exists."""

import ast
import json
import re
import subprocess
from functools import cache
from pathlib import Path

import click
import pytest
from msgspec.structs import fields

import dialects
from cli import penstock
from cli.documents import outdated
from cli.group import NAMES
from console.errors import MESSAGES
from gateway.errors import REASONS
from schemas.settings import CRASH_AT, PARENT_FD, PREFIX, Settings
from workers.crash import POINTS

ROOT = Path(__file__).parents[1]
REFUSALS = {"Refused", "Problem", "Reason", "Dead", "EnvelopeError", "ApiError"}
"""What is built with a stable code as its first or second argument."""


@cache
def pages() -> dict[Path, str]:
    """Every Markdown page of the project."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    found = (ROOT / name for name in listed.split("\0") if name)
    return {path: path.read_text() for path in found if path.is_file()}


def page(name: str) -> str:
    return pages()[ROOT / name]


def quoted(name: str) -> set[str]:
    """The words a page sets in code type."""
    return set(re.findall(r"`([^`\n]+)`", page(name)))


def test_generated_pages_are_what_the_code_says() -> None:
    assert outdated() == []


def test_every_dialect_is_described() -> None:
    for dialect in dialects.discover():
        assert dialect.name in quoted("README.md")
        assert f"(../dialects/{dialect.name}/README.md)" in page("docs/protocols.md")
        described = page(f"dialects/{dialect.name}/README.md")
        paths = [re.sub(r"\{.*", "", endpoint.path) for endpoint in dialect.endpoints]
        assert [path for path in paths if path not in described] == []


def test_every_command_is_in_the_readme() -> None:
    words = "\n".join(quoted("README.md"))
    assert [name for name in NAMES if f"penstock {name}" not in words] == []


def test_the_readme_names_no_command_that_is_not_there() -> None:
    named = set(re.findall(r"penstock ([a-z]+)(?: ([a-z]+))?", "\n".join(quoted("README.md"))))
    context = click.Context(penstock)
    assert {first for first, _ in named} <= set(NAMES)
    for first, second in named:
        command = penstock.get_command(context, first)
        if isinstance(command, click.Group) and second:
            assert second in command.commands


@cache
def codes() -> dict[str, str]:
    """Every stable code in the code, with a file that uses it."""
    found = {reason.code: "gateway/errors.py" for reason in REASONS}
    for house in ("schemas", "dialects", "gateway", "workers"):
        for path in (ROOT / house).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                name = getattr(getattr(node, "func", None), "id", None)
                if isinstance(node, ast.Call) and name in REFUSALS:
                    found |= dict.fromkeys(_constant(node.args), str(path.relative_to(ROOT)))
    return found


def _constant(arguments: list[ast.expr]) -> list[str]:
    first = arguments[0] if arguments else None
    return [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []


def documented_codes() -> set[str]:
    return quoted("docs/errors.md") | quoted("docs/protocols.md")


def test_every_error_code_is_documented() -> None:
    assert {code: path for code, path in codes().items() if code not in documented_codes()} == {}


def test_codes_of_the_examples_are_documented() -> None:
    used = set()
    for path in (ROOT / "dialects").glob("*/examples/*.json"):
        used |= set(re.findall(r'"code": "([a-z_]+)"', path.read_text()))
    assert used - documented_codes() == set()


def test_every_code_of_the_api_is_documented() -> None:
    assert set(MESSAGES) - quoted("docs/api.md") == set()


def test_every_api_path_is_documented() -> None:
    declared = set()
    for path in (ROOT / "console/resources").glob("*.py"):
        declared |= set(re.findall(r'Route\("([^"]+)"', path.read_text()))
    declared = {re.sub(r":\w+}", "}", path) for path in declared}  # a parameter's kind is of no interest
    assert {path for path in declared if path not in page("docs/api.md")} == set()


@pytest.mark.parametrize("suffix", ["md", "yaml", "yml", "xml", "Dockerfile", "Makefile"])
def test_every_setting_that_is_named_exists(suffix: str) -> None:
    known = {PREFIX + field.name.upper() for field in fields(Settings)} | {PARENT_FD, CRASH_AT, PREFIX}
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", f"*{suffix}"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    named = {
        (name, variable)
        for name in filter(None, listed.split("\0"))
        if (ROOT / name).is_file()
        for variable in re.findall(r"PENSTOCK_[A-Z_0-9]*", (ROOT / name).read_text())
    }
    assert {(name, v) for name, v in named if v.removesuffix("_FILE") not in known} == set()


def test_every_metric_that_is_watched_exists() -> None:
    exposed = {name for name in quoted("docs/metrics.md") if name.startswith("penstock_")}
    watched = set()
    for path in (ROOT / "deploy").rglob("*"):
        if path.suffix in (".yml", ".json"):
            watched |= set(re.findall(r"penstock_(?:gateway|worker|api|webhook)_[a-z_]+", path.read_text()))
    assert watched
    histograms = {re.sub(r"_(bucket|sum|count)$", "", name) for name in watched}
    assert histograms - exposed == set()


def test_the_dashboard_is_json() -> None:
    dashboard = json.loads((ROOT / "deploy/grafana/dashboards/penstock.json").read_text())
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_links_lead_somewhere() -> None:
    links = [
        (path, target)
        for path, text in pages().items()
        for target in re.findall(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
        if not target.startswith(("http://", "https://"))
    ]
    assert [(str(path), target) for path, target in links if not (path.parent / target).exists()] == []


def test_decisions_have_a_number_each_and_those_that_are_named_exist() -> None:
    decisions = {path.name: text for path, text in pages().items() if path.parent.name == "decisions"}
    numbers = [name[:4] for name in decisions]
    assert len(set(numbers)) == len(numbers)
    assert [name for name, text in decisions.items() if not text.startswith(f"# {name[:4]} ")] == []
    command = ["git", "grep", "-ohE", "decisions/[0-9]{4}"]
    named = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split()
    assert {one.removeprefix("decisions/") for one in named} - set(numbers) == set()
    assert len(named) > 20


def test_tests_that_are_named_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)?(?:::(test_\w+))?`", page("docs/reliability.md"))
    found, file = 0, ""
    for path, name in named:
        file = path or file
        text = (ROOT / file).read_text("utf-8") if path or name else ""
        assert not name or f"def {name}(" in text, f"{file} has no {name}"
        found += bool(path or name)
    assert found > 40


def test_crash_points_are_described() -> None:
    assert set(POINTS) <= quoted("docs/reliability.md")


def test_the_readme_says_what_make_run_prints() -> None:
    from deploy.dev.rundir import Ports
    from deploy.dev.welcome import text

    printed = text(Ports(gateway=8080, api=8081, clickhouse=1, admin={}), "./var", ".venv/bin/penstock")
    sent = re.findall(r"-d ('.*?)\n", page("README.md"))
    assert len(sent) >= len(dialects.discover())
    assert [body for body in sent if body not in printed] == []


def test_the_owner_of_the_geo_data_is_named() -> None:
    for name in ("README.md", "NOTICE"):
        content = (ROOT / name).read_text()
        assert "IP Geolocation by DB-IP" in content
        assert "https://db-ip.com" in content
