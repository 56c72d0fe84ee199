"""What every command has in common: help, settings as flags, sentences instead of stack traces."""

import pytest
from click.testing import CliRunner
from msgspec.structs import fields

from cli import penstock as group
from cli.group import NAMES
from cli.options import flag_of
from schemas.settings import Settings
from tests.unit.cli.conftest import Penstock

PROCESSES = ("dev", "gateway", "worker", "api")


def test_help_lists_every_command(penstock: Penstock) -> None:
    done = penstock("--help")
    assert done.returncode == 0
    for name in NAMES:
        assert f"\n  {name} " in done.stdout


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_offers_every_setting_as_a_flag(name: str) -> None:
    shown = CliRunner().invoke(group, [name, "--help"]).output
    assert [field.name for field in fields(Settings) if flag_of(field.name) not in shown] == []


@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"),
    [
        (("gateway", "--port", "70000"), {}, "PENSTOCK_PORT is not usable"),
        (
            ("worker", "events"),
            {"PENSTOCK_WORKER_ROWS_MAX": "many"},
            "PENSTOCK_WORKER_ROWS_MAX is not usable",
        ),
        (("api",), {"PENSTOCK_COLOUR": "red"}, "PENSTOCK_COLOUR is not a setting"),
        (("dev", "--host", "0.0.0.0"), {}, "PENSTOCK_HOST"),
        (("dev",), {"PENSTOCK_TRUSTED_PROXIES": "10.0.0.0/8,me"}, "PENSTOCK_TRUSTED_PROXIES is not a list"),
        (("gateway",), {"PENSTOCK_HOST": ""}, "PENSTOCK_HOST is not usable"),
        (("dev",), {"PENSTOCK_PORT": "65535"}, "PENSTOCK_API_PORT is not usable: there is no port 65536"),
        (("gateway", "--server", "apache"), {}, "it takes hypercorn or granian or builtin"),
        (("gateway",), {"PENSTOCK_KAFKA_TLS": "maybe"}, "PENSTOCK_KAFKA_TLS is not usable: it takes 1 or 0"),
        (
            ("migrate",),
            {"PENSTOCK_KAFKA_PASSWORD_FILE": "/nowhere"},
            "PENSTOCK_KAFKA_PASSWORD_FILE: cannot read",
        ),
    ],
)
def test_a_wrong_value_stops_the_start_with_a_sentence(
    penstock: Penstock, arguments: tuple[str, ...], settings: dict[str, str], sentence: str
) -> None:
    done = penstock(*arguments, **settings)
    assert done.returncode == 2
    assert done.stderr.startswith("penstock: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_command_that_does_not_exist_is_refused(penstock: Penstock) -> None:
    done = penstock("flush")
    assert done.returncode == 2
    assert "No such command 'flush'" in done.stderr
