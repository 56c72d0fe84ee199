"""`penstock dev`: the whole system on this machine, on the embedded default. What `make run` starts."""

import asyncio
import sys
from pathlib import Path

import click

from cli.errors import CommandFailed
from cli.options import with_settings
from schemas.settings import Settings


@click.command("dev", short_help="Run the whole system here, on the embedded default (make run).")
@click.option("--gateways", type=click.IntRange(1, 16), default=1, help="Gateway processes.")
@click.option("--workers", type=click.IntRange(1, 16), default=1, help="Workers of the pipeline `events`.")
@click.option("--follow-parent", is_flag=True, hidden=True, help="Stop when the calling process is gone.")
@with_settings()
def command(settings: Settings, *, gateways: int, workers: int, follow_parent: bool) -> None:
    """Run gateway, workers, api and ClickHouse under one supervisor, with demo credentials.

    Everything is kept in the directory --home. Ctrl-C stops all and loses nothing.
    """
    from deploy.dev.embedded import plan
    from deploy.dev.rundir import AlreadyRuns, RunDirectory
    from deploy.dev.supervisor import StartFailed, supervise
    from deploy.dev.welcome import text

    run = RunDirectory(Path(settings.home))
    try:
        lock_fd = run.lock()
        laid_out = plan(settings, run, gateways=gateways, workers=workers)
        say(f"state and logs are in {run.home}")
        work = supervise(
            laid_out,
            run,
            lock_fd,
            say=say,
            welcome=lambda: _write(text(laid_out.ports, settings.home, _called())),
            follow_parent=follow_parent,
        )
        asyncio.run(work)
    except (AlreadyRuns, StartFailed) as error:
        raise CommandFailed(str(error)) from None


def _called() -> str:
    """Return how the command is called from a shell that stands where we stand."""
    script = Path(sys.executable).with_name("penstock")
    if not script.exists():
        return f"{sys.executable} -m cli"
    return str(script.relative_to(Path.cwd())) if script.is_relative_to(Path.cwd()) else str(script)


def say(line: str) -> None:
    """Tell the operator something, at once."""
    _write(f"penstock: {line}\n")


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError:
        return  # the terminal is gone; the system is not
