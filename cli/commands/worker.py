"""`penstock worker NAME`: one process of a pipeline; `penstock worker resume`: let resting ones go on."""

import http.client
import json
from pathlib import Path

import click

from cli.errors import CommandFailed
from cli.options import with_settings
from schemas.settings import Settings

RESUME_WAIT_S = 5.0


@click.command("worker", short_help="Run a worker: events, quarantine, webhooks; or resume.")
@click.argument("name")
@click.option("--at", metavar="HOST:PORT", multiple=True, help="With resume: the admin port of a worker.")
@with_settings()
def command(settings: Settings, *, name: str, at: tuple[str, ...]) -> None:
    """Run one process of the worker NAME, until SIGTERM. Several share the partitions.

    `penstock worker resume` lifts the circuit breakers: partitions that rest because too many of their
    events were dead, and endpoints of webhooks that failed, go on at once. It asks the workers of the
    system in --home, or those named by --at.
    """
    if name == "resume":
        for line in _resume(settings, at):
            click.echo(line)
        return
    from cli.process import run, settle
    from workers.run import run_worker
    from workers.webhooks.run import run_webhooks

    settle()
    run(settings, run_webhooks(settings) if name == "webhooks" else run_worker(name, settings))


def _resume(settings: Settings, at: tuple[str, ...]) -> list[str]:
    from deploy.dev.plan import admin_host
    from deploy.dev.rundir import RunDirectory

    if not at:
        ports = RunDirectory(Path(settings.home)).ports()
        admin = ports.admin if ports is not None else {}
        host = admin_host(settings)
        host = f"[{host}]" if ":" in host else host
        at = tuple(f"{host}:{port}" for name, port in admin.items() if name.startswith("worker-"))
    if not at:
        raise CommandFailed(f"no worker runs in {settings.home}; name their admin ports with --at HOST:PORT")
    return [f"{address}: {_post(address)}" for address in at]


def _post(address: str) -> str:
    connection = http.client.HTTPConnection(address, timeout=RESUME_WAIT_S)
    try:
        connection.request("POST", "/resume")
        answer = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise CommandFailed(f"the worker at {address} does not answer: {error}") from None
    finally:
        connection.close()
    return ", ".join(answer["resumed"]) or "nothing was resting"
