"""``cbstore exporter``: the breakers of a database as metrics, read when Prometheus asks."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from typing import TYPE_CHECKING

from cbstore_sql.cli import add_schema_argument, add_url_argument, say
from cbstore_sql.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from cbstore_sql.cli import Subparsers

_LARGEST_PORT = 65535


def register(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("exporter", help="serve metrics of all breakers, for Prometheus")
    add_url_argument(parser)
    add_schema_argument(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=9464, help="0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--max-breakers",
        type=int,
        default=1000,
        help="how many breakers get series of their own, open ones first (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the subcommand; SIGTERM and SIGINT end it.

    Raises:
        MissingExtraError: prometheus_client is missing.
        ConfigurationError: An argument cannot be used.
        SchemaError: There is no such SQLite file. A database that cannot be read is no error: ``cb_fleet_up`` says it.
    """
    try:
        from prometheus_client import CollectorRegistry
    except ImportError:
        raise MissingExtraError("the exporter", "prometheus") from None
    from cbstore_sql.cli.database import open_store
    from cbstore_sql.metrics import FleetCollector

    with open_store(arguments.url, arguments.schema) as store:
        registry = CollectorRegistry()
        registry.register(FleetCollector(store, max_breakers=arguments.max_breakers))
        _serve(registry, arguments.host, arguments.port)
    return 0


def _serve(registry: CollectorRegistry, host: str, port: int) -> None:
    from prometheus_client import start_http_server

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    address = f"[{host}]" if ":" in host else host
    say(f"metrics on http://{address}:{server.server_port}/metrics")
    sys.stdout.flush()
    ended.wait()
    server.shutdown()
    server.server_close()
    thread.join()


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= _LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"a port is between 0 and {_LARGEST_PORT}")
    return port
