"""A load for a machine without Go: takes arguments of bench/load, sends a few requests, prints its report."""

import http.client
import json
import sys
import time
from pathlib import Path

REQUESTS = 12


def main() -> None:
    told = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    events = int(told["-events"])
    token = Path(told["-tokens"]).read_text().split()[0] if "-tokens" in told else ""
    connection = http.client.HTTPConnection("127.0.0.1", int(told["-port"]), timeout=20)
    acked, failed, began = 0, 0, time.monotonic()
    for number in range(REQUESTS):
        body = json.dumps({"events": [_event(number, index) for index in range(events)]})
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        connection.request("POST", "/ingest/batch", body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status == 200 and told.get("-expect", "") in text:
            acked += events
        else:
            failed += 1
    report = {
        "requests": REQUESTS - failed,
        "acked_events": acked,
        "failed": {"refused": failed} if failed else {},
        "seconds": time.monotonic() - began,
        "latency_ms": {"p50": 1, "p99": 1, "p99.9": 1, "max": 1},
        "cpu_s": time.process_time(),
    }
    print(json.dumps(report))


def _event(number: int, index: int) -> dict[str, object]:
    return {
        "t": "page_view",
        "ts": int(time.time() * 1000),
        "cid": 3,
        "did": f"device-{index}",
        "url": f"https://a.example/{number}",
    }


if __name__ == "__main__":
    main()
