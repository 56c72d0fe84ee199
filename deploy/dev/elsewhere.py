"""State of ours that lies in another user's home, behind a link; it goes when its link has gone.

Who deletes a state directory deletes the link only. So whoever makes the next one looks after the others.
"""

import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "penstock-"
NOTE = "link"
"""Who owns it: the link's path, and the device that this lies on."""


def place(link: Path, home: Path) -> None:
    """Make a directory in `home`, and `link` to it; remove those there whose own link has gone."""
    remove_orphans(home)
    link.unlink(missing_ok=True)  # a link that leads nowhere
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=home))
    link.symlink_to(made)
    # The note comes last: what has none is never removed, whoever starts at the same time.
    (made / NOTE).write_text(f"{link.absolute()}\n{link.parent.stat().st_dev}\n")


def remove_orphans(home: Path) -> None:
    """Remove the directories in `home` that a link of ours led to, and no longer does."""
    for directory in home.glob(f"{PREFIX}*"):
        if not directory.is_symlink() and _is_orphan(directory):
            shutil.rmtree(directory, ignore_errors=True)


def _is_orphan(directory: Path) -> bool:
    try:
        path, device = (directory / NOTE).read_text().splitlines()
    except (OSError, ValueError):  # not ours, or being made
        return False
    link = Path(path)
    if link.is_symlink():
        return link.readlink() != directory
    # Where a disk was taken away, its directories are not gone: what stands there is on another one.
    standing = next((parent for parent in link.parents if parent.exists()), Path("/"))
    return str(standing.stat().st_dev) == device and not _is_served(directory)


def _is_served(directory: Path) -> bool:
    """Tell whether a Postgres runs on it: it may still be ending."""
    try:
        os.kill(int((directory / "data" / "postmaster.pid").read_text().split()[0]), 0)
    except (OSError, ValueError, IndexError) as error:
        return isinstance(error, PermissionError)
    return True
