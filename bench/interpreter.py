"""Which Python to measure with: the fastest on this machine. Runs before any environment is made.

How an interpreter was built decides a fifth of what a request costs: one that was not built with a profile
of its own work (pyenv's default) is that much slower than Debian's or the one of the official images. No
build says so of itself in a way that can be relied on, so each is timed.
"""

import shutil
import subprocess
import sys

CANDIDATES = ("python3.13", "python3.12", "python3.11", "/usr/bin/python3", "/usr/local/bin/python3")
FASTER_MIN = 1.1
"""By so much another one must be faster than the one that was given."""

LOOP = """
import ensurepip, sqlite3, ssl, sys, time, venv
assert (3, 11) <= sys.version_info[:2] <= (3, 13)

class Pair:
    __slots__ = ("one", "other")
    def __init__(self, one, other):
        self.one, self.other = one, other

def work():
    found, total = {}, 0
    for number in range(100_000):
        pair = Pair(number, number + 1)
        found[str(number % 1_000)] = pair
        total += pair.one * pair.other % 7 + len(found)
    return total

def once():
    began = time.process_time()
    work()
    return time.process_time() - began

print(min(once() for _ in range(15)), sys.version.split()[0])
"""


def main(given: str) -> str:
    """Return the interpreter to use, and say on standard error why where it is not the given one."""
    timed = {name: found for name in (given, *CANDIDATES) if (found := timing(name)) is not None}
    fastest = min(timed, key=lambda name: timed[name][0], default=given)
    if given not in timed:
        return fastest
    factor = timed[given][0] / timed[fastest][0]
    if factor < FASTER_MIN:
        return given
    print(
        f"bench: measuring with {fastest} ({timed[fastest][1]}): {factor:.2f} times as fast as {given} "
        f"({timed[given][1]}). Name another with PYTHON=",
        file=sys.stderr,
    )
    return fastest


def timing(name: str) -> tuple[float, str] | None:
    """Return how many seconds its loop takes and its version, or None where it cannot be used."""
    if shutil.which(name) is None:
        return None
    done = subprocess.run([name, "-c", LOOP], capture_output=True, text=True, check=False)
    seconds, _, version = done.stdout.strip().partition(" ")
    return (float(seconds), version) if done.returncode == 0 else None


if __name__ == "__main__":
    print(main(sys.argv[1]))
