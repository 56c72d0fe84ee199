"""What `dev` and `stack` have in common: a supervisor in the foreground until a signal stops it."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from cli.errors import CommandFailed
from deploy.dev.plan import Plan
from deploy.dev.rundir import AlreadyRuns, RunDirectory
from deploy.dev.server import ServerFailed
from deploy.dev.supervisor import StartFailed, supervise
from deploy.dev.welcome import text
from schemas.settings import Settings


def run_system(settings: Settings, plan: Callable[[RunDirectory], Plan], *, follow_parent: bool) -> None:
    """Lay out and run a whole system. Raises CommandFailed, and SettingsError from `plan`."""
    run = RunDirectory(Path(settings.home))
    try:
        lock_fd = run.lock()
        laid_out = plan(run)
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
    except (AlreadyRuns, ServerFailed, StartFailed) as error:
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


def _write(words: str) -> None:
    try:
        sys.stdout.write(words)
        sys.stdout.flush()
    except OSError:
        return  # the terminal is gone; the system is not
