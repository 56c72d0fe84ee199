"""What /proc says of processes of our own."""

import os
import subprocess
import sys

from bench.processes import cpu_s, family, rss_peak_mb

BUSY = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ninput()"


def test_cpu_and_memory_of_a_child_are_counted() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"done\n"
        used_s, held_mb = cpu_s([child.pid]), rss_peak_mb([child.pid])
        known = family(os.getpid())
        child.communicate(b"\n")
    assert used_s >= 0.25
    assert held_mb > 1
    assert child.pid in known
