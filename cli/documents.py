"""The pages of docs/ that are made from the code: `python -m cli.documents` writes them."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec.structs import fields
from prometheus_client.metrics import MetricWrapperBase

from cli.options import default, flag_of
from gateway.histogram import Histogram
from schemas.settings import PREFIX, Settings, about

DOCS = Path(__file__).parents[1] / "docs"

SETTINGS_HEADING = """# Settings

Made by `make docs` from `schemas/settings.py`; do not edit. A value comes from a flag (`--bus-url`), else
from the environment (`PENSTOCK_BUS_URL`), else from the file that `PENSTOCK_BUS_URL_FILE` names (for
secrets), else it is the default. A value that cannot be used stops the start with a sentence that names it.

| variable | flag | default | meaning |
|---|---|---|---|
"""

METRICS_HEADING = """# Metrics

Made by `make docs` from the code; do not edit. Every process serves `/metrics` on its admin port
(`PENSTOCK_ADMIN_PORT`, on `PENSTOCK_ADMIN_HOST`). A histogram has `_bucket`, `_sum` and `_count`. Alerts on
them are in [deploy/prometheus](../deploy/prometheus/penstock.rules.yml), a dashboard is in
[deploy/grafana](../deploy/grafana/dashboards/penstock.json).
"""

METRICS_TABLE = """
## {title}

| metric | kind | labels | meaning |
|---|---|---|---|
{rows}"""


def settings_page() -> str:
    """Return docs/settings.md."""
    rows = (
        f"| `{PREFIX}{field.name.upper()}` | `{flag_of(field.name)}` | `{default(field)}` "
        f"| {about(field.name)} |\n"
        for field in fields(Settings)
    )
    return SETTINGS_HEADING + "".join(rows)


def metrics_page() -> str:
    """Return docs/metrics.md."""
    import console.metrics
    import workers.metrics
    from gateway.metrics import Metrics

    tables = (
        ("Gateway", vars(Metrics())),
        ("Worker", vars(workers.metrics)),
        ("Api", vars(console.metrics)),
    )
    return METRICS_HEADING + "".join(
        METRICS_TABLE.format(title=title, rows="".join(_rows(names.values()))) for title, names in tables
    )


def _rows(declared: Iterable[object]) -> Iterator[str]:
    for metric in declared:
        if isinstance(metric, MetricWrapperBase | Histogram):
            [family] = metric.describe()
            name = family.name + ("_total" if family.type == "counter" else "")
            names = metric.labels if isinstance(metric, Histogram) else metric._labelnames
            labels = ", ".join(f"`{label}`" for label in names)
            yield f"| `{name}` | {family.type} | {labels} | {family.documentation} |\n"


PAGES = {"settings.md": settings_page, "metrics.md": metrics_page}


def outdated() -> list[str]:
    """Return the pages that are not what the code says."""
    return [name for name, page in PAGES.items() if _read(DOCS / name) != page()]


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check tell whether they are up to date; returns the exit status."""
    if arguments == ["--check"]:
        for name in outdated():
            print(f"docs/{name} is not what the code says: run `make docs`")
        return bool(outdated())
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
