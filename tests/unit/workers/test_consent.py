"""Consent: what a mask means, what is dropped, and what each missing meaning takes from a row."""

import re
from pathlib import Path
from typing import Any, cast, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import fields

import dialects
from dialects.alana import wire as alana
from dialects.relo import wire as relo
from schemas.event import Event
from schemas.rows import EVENT_PARTS
from schemas.tenants import Meaning, TenantSettings
from tests.unit.workers.judged import event, purchase
from workers.consent import BITS, NEEDS, WHOLE, allows, is_whole, translate
from workers.resources import Resources
from workers.stage import KEEP, Drop, Verdict
from workers.stages.consent import Consent, Withhold, network, withhold, without_query

PAGE = Path(__file__).parents[3] / "docs/consent.md"
USE = cast(Resources, None)
MEANINGS = get_args(Meaning)


async def judged(*events: Event) -> list[Verdict]:
    return list(await Consent(USE).judge(events))


def sent(mask: int | None, **settings: Any) -> Event:
    """Return an event with a mask, or with none, of a tenant that has set something."""
    made = event(settings=TenantSettings(**settings))
    if mask is not None:
        made.consent, made.consent_given = mask, True
    return made


def meant(judged_event: Event) -> set[str]:
    return {meaning for meaning in MEANINGS if allows(judged_event, meaning)}


@pytest.mark.parametrize("mask", [0xFF, 0x7F])
async def test_all_bits_mean_everything(mask: int) -> None:
    made = sent(mask)
    assert await judged(made) == [KEEP]
    assert meant(made) == set(MEANINGS)
    assert is_whole(made)


@pytest.mark.parametrize("meaning", MEANINGS)
async def test_a_missing_bit_costs_its_meaning_and_what_needs_it(meaning: Meaning) -> None:
    made = sent(0xFF - BITS[meaning])
    await judged(made)
    lost = {meaning} | {other for other, needed in NEEDS.items() if needed == meaning}
    lost |= {other for other, needed in NEEDS.items() if needed in lost}
    assert meant(made) == set(MEANINGS) - lost
    assert is_whole(made) == (BITS[meaning] & WHOLE == 0)


async def test_no_bit_means_nothing() -> None:
    made = sent(0)
    assert await judged(made) == [KEEP]
    assert meant(made) == set()


@given(
    st.integers(0, 255),
    st.dictionaries(st.sampled_from(MEANINGS), st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128])),
)
def test_a_mask_never_gains(mask: int, consent_bits: dict[str, int]) -> None:
    allowed = translate(mask, consent_bits)
    for meaning in MEANINGS:
        if allowed & BITS[meaning]:
            assert mask & consent_bits.get(meaning, BITS[meaning])
            assert meaning not in NEEDS or allowed & BITS[NEEDS[meaning]]


async def test_a_tenant_may_give_bits_other_meanings() -> None:
    made = sent(0b10, consent_bits={"analytics": 2, "identity": 1, "unheard_of": 4})
    await judged(made)
    assert meant(made) == {"analytics"}
    assert made.consent == 0b10  # the column is as sent


async def test_an_event_that_says_nothing_has_its_tenants_default() -> None:
    silent, said = sent(None, consent_default=1), sent(3, consent_default=1)
    await judged(silent, said)
    assert (silent.consent, said.consent) == (1, 3)
    assert meant(silent) == {"analytics"}
    assert allows(said, "identity")
    assert not allows(silent, "identity")


async def test_without_analytics_it_is_dropped_only_where_the_tenant_says_so() -> None:
    verdicts = await judged(
        sent(0), sent(0, drop_without_analytics=True), sent(1, drop_without_analytics=True)
    )
    assert verdicts == [KEEP, Drop("no_analytics_consent"), KEEP]


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://shop.example/a/b?email=ana%40x.example#top", "https://shop.example/a/b"),
        ("https://shop.example/a#token=1?x", "https://shop.example/a"),
        ("https://ana:secret@shop.example:8443/a?b", "https://shop.example:8443/a"),
        ("//shop.example?x=1", "//shop.example"),
        ("/cart?x=1", "/cart"),
        ("android-app://com.example/x?y", "android-app://com.example/x"),
        ("shop.example/a@b", "shop.example/a@b"),
        ("?x=1", ""),
        ("", ""),
    ],
)
def test_a_url_loses_its_query(url: str, kept: str) -> None:
    assert without_query(url) == kept


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("::1", "::"),
        ("", ""),
        ("not one", ""),
        ("203.0.113.77/24", ""),
    ],
)
def test_an_address_is_cut_to_its_network(address: str, kept: str) -> None:
    assert network(address) == kept


PROPERTIES = [
    ("relo", "page_view", '{"url":"shop.example/a?email=x","note":"x"}', '{"url":"shop.example/a"}'),
    (
        "relo",
        "purchase",
        '{"order_id":"o","revenue":24999.00,"email":"a@x.example","product_name":{"x":1},"quantity":1}',
        '{"order_id":"o","revenue":24999.00,"quantity":1}',
    ),
    ("relo", "custom", '{"order_id":"o"}', "{}"),
    ("alana", "purchase-complete", '{"productIds":["a",{"x":1},["y"]],"x":1}', '{"productIds":["a"]}'),
    ("alana", "search", '{"query":"boots","metadata":{"x":1}}', '{"query":"boots"}'),
    ("redo", "Order Placed", '{"order_id":"o"}', "{}"),
    ("tracker", "cart_add", '{"product_id":5,"phone":"+525512345678"}', '{"product_id":5}'),
    ("morse", "dot", '{"x":1}', "{}"),
]


@pytest.mark.parametrize(("dialect", "event_name", "properties", "kept"), PROPERTIES)
def test_only_properties_that_the_protocol_names_are_kept(
    dialect: str, event_name: str, properties: str, kept: str
) -> None:
    made = event(dialect=dialect, event_name=event_name, properties=properties, allowed=0)
    withhold(made)
    assert made.properties == kept


def named_by(wire: Any, *, below: str) -> dict[str, set[str]]:
    """Return what the structs of a dialect name, by event name; `below` is the field that holds it."""
    named: dict[str, set[str]] = {}
    for kind in get_args(wire.Event):
        own = {field.name: field.type for field in fields(kind)}
        if below:
            props = own[below]
            found = [
                each
                for each in (props, *get_args(props))
                if isinstance(each, type) and issubclass(each, Struct)
            ]
            names = {field.name for each in found for field in fields(each)}
        else:
            names = set(own) - {field.name for field in fields(wire.Common)}
        if names:
            named[kind.__struct_config__.tag] = names
    return named


def test_the_tables_name_what_the_protocols_name() -> None:
    named = {dialect.name: dialect.named_properties for dialect in dialects.discover()}
    assert {name: set(of) for name, of in named["relo"].items()} == {
        name: names | ({"product_name"} if name == "purchase" else set())  # named, and not checked
        for name, names in named_by(relo, below="props").items()
    }
    assert {name: set(of) for name, of in named["alana"].items()} == named_by(alana, below="")


def test_the_page_has_every_column_and_every_kept_property() -> None:
    quoted = set(re.findall(r"`([^`\n]+)`", PAGE.read_text()))
    assert set(EVENT_PARTS) - {"elements"} - quoted == set()  # the last part is no column
    named = {
        name for dialect in dialects.discover() for of in dialect.named_properties.values() for name in of
    }
    assert named - quoted == set()
    assert set(MEANINGS) - quoted == set()


IDENTIFIED: dict[str, Any] = {"user_id": "u-42", "email": "ana@x.example", "phone": "+525512345678"}


def test_without_identity_the_device_stays_and_the_person_goes() -> None:
    made = purchase(allowed=0xFF - BITS["identity"], person_id="p", **IDENTIFIED)
    withhold(made)
    assert (made.person_id, made.user_id, made.email, made.phone) == (None, "", "", "")
    assert (made.anonymous_id, made.subject) == ("device-0", "device-1")


def test_without_location_a_profile_knows_the_country_only() -> None:
    facts = {
        "email": '"a@x"',
        "location.city": '"Lyon"',
        "location.countryCode": '"FR"',
        "location.latitude": "4.8",
    }
    made = purchase(allowed=0xFF - BITS["location"], profile=facts)
    withhold(made)
    assert made.profile == {"email": '"a@x"', "location.countryCode": '"FR"'}
    assert len(facts) == 4  # it may be another event's too


@pytest.mark.parametrize("name", IDENTIFIED.values())
def test_a_customer_is_no_subject_without_identity(name: str) -> None:
    made = event(allowed=1, subject=name, anonymous_id=name, **IDENTIFIED)
    withhold(made)
    assert (made.subject, made.anonymous_id) == (made.event_id, "")


async def test_only_what_lacks_consent_is_reduced_and_once() -> None:
    whole, part = purchase(raw="{}", **IDENTIFIED), purchase(raw="{}", allowed=0, **IDENTIFIED)
    before = purchase(raw="{}", **IDENTIFIED)
    for _ in range(2):
        assert await Withhold(USE).judge([whole, part]) == [KEEP] * 2
    assert whole == before
    assert (part.raw, part.flags) == ("", ["withheld"])
