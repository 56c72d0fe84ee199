"""The documentation names every code, every limit and every type that the dialects have."""

import re
from pathlib import Path
from typing import get_args

import pytest

import dialects
from dialects.base import Dialect
from schemas.event import EventType
from tests.contract.dialect_examples import ROOT, load

PROTOCOLS = (Path(dialects.__file__).parent.parent / "docs" / "protocols.md").read_text()
EXAMPLES = load()
REFUSED = re.compile(r'Refused\(\s*"([a-z0-9_]+)"|return "([a-z0-9_]+)"')


def codes_in_source() -> set[str]:
    """Return the codes that the dialects' own files refuse with."""
    found = [match for path in ROOT.rglob("*.py") for match in REFUSED.findall(path.read_text())]
    return {first or second for first, second in found}


def test_every_code_is_explained() -> None:
    codes = codes_in_source()
    assert {"cid_not_allowed", "missing_field", "unknown_event_type"} <= codes
    assert [code for code in codes if f"`{code}`" not in PROTOCOLS] == []


@pytest.mark.parametrize("dialect", dialects.discover(), ids=lambda d: d.name)
def test_every_code_of_an_example_stands_in_the_dialects_page(dialect: Dialect) -> None:
    page = (ROOT / dialect.name / "README.md").read_text()
    for example in EXAMPLES:
        if example.dialect == dialect.name:
            for rejected in example.expected.get("rejected", []):
                assert f"`{rejected['code']}`" in page, str(example)


@pytest.mark.parametrize("dialect", dialects.discover(), ids=lambda d: d.name)
def test_every_route_and_limit_is_listed(dialect: Dialect) -> None:
    page = (ROOT / dialect.name / "README.md").read_text()
    for endpoint in dialect.endpoints:
        assert endpoint.path.replace("{store}", "{storeId}") in page
        for rate in endpoint.rates:
            assert f"`{rate.group}`" in PROTOCOLS
            assert f"{rate.requests:,}" in page


def test_every_type_stands_in_the_vocabulary() -> None:
    assert [name for name in get_args(EventType) if f"| `{name}` |" not in PROTOCOLS] == []


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PROTOCOLS):
        assert (Path(dialects.__file__).parent.parent / "docs" / target).exists(), target
