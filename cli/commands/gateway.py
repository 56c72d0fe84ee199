"""`penstock gateway`: one process that takes events over HTTP and publishes them."""

import click

from cli.options import with_settings
from schemas.settings import Settings


@click.command("gateway", short_help="Take events over HTTP and publish them to the bus.")
@click.option("--reuse-port", is_flag=True, help="Share the port with other gateways of this machine.")
@with_settings()
def command(settings: Settings, *, reuse_port: bool) -> None:
    """Serve every dialect on --host and --port, until SIGTERM."""
    from cli.process import run

    run(settings, _serve(settings, reuse_port=reuse_port))


async def _serve(settings: Settings, *, reuse_port: bool) -> None:
    from bus import open_bus
    from cli.demo import refuse_public
    from cli.process import settle
    from gateway.app import create_app
    from gateway.server import serve
    from stores.keys import open_keys
    from stores.registry import open_registry

    async with open_bus(settings) as bus, open_registry(settings) as registry, open_keys(settings) as keys:
        await refuse_public(settings, registry)
        app = create_app(settings, bus, registry, keys)
        settle()
        await serve(app, settings, reuse_port=reuse_port)
