"""``cbstore exporter``: serve the breakers of a database as metrics for Prometheus."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from typing import TYPE_CHECKING, cast

from cbstore_sql.cli import add_command, exit_codes, say
from cbstore_sql.cli.arguments import add_database
from cbstore_sql.cli.arguments import port as port_number
from cbstore_sql.cli.stores import open_store
from cbstore_sql.errors import ConfigurationError
from cbstore_sql.extras import needs_extra

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from cbstore_sql.cli import Subparsers
    from cbstore_sql.metrics.fleet import ReadsAll

# Seconds for one scrape. By default, Prometheus waits 10 s for the answer to a scrape.
_TIMEOUT = 1.5


def register(subparsers: Subparsers) -> None:
    """Add the parser of ``cbstore exporter``, which serves the metrics of all breakers to Prometheus.

    Args:
        subparsers: The subparsers of ``cbstore``.
    """
    parser = add_command(
        subparsers,
        "exporter",
        "serve metrics of all breakers, for Prometheus",
        details="--timeout bounds each scrape: a database that is too slow gives 'cb_fleet_up 0'.",
        examples=("cbstore exporter --port 9464", "cbstore exporter --host 0.0.0.0 --timeout 3s"),
    )
    add_database(parser, timeout=_TIMEOUT)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=port_number, default=9464, help="0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--max-breakers",
        type=int,
        default=1000,
        help="how many breakers get their own series, open ones first (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve the metrics of all breakers over HTTP until SIGTERM or SIGINT arrives, and print the URL of the metrics.

    If the database cannot be read, the server continues and the metrics show ``cb_fleet_up 0``.

    Args:
        arguments: The parsed arguments of ``cbstore exporter``.

    Returns:
        The exit code 0.

    Raises:
        MissingExtraError: prometheus_client is missing.
        ConfigurationError: An argument cannot be used, or the server cannot listen on the address or the port.
        SchemaError: The SQLite file does not exist.
    """
    with needs_extra("the exporter", "prometheus"):
        from prometheus_client import CollectorRegistry
    from cbstore_sql.metrics import FleetCollector

    with open_store(arguments) as store:
        registry = CollectorRegistry()
        collector = FleetCollector(
            cast("ReadsAll", store), max_breakers=arguments.max_breakers, timeout=arguments.timeout
        )
        registry.register(collector)
        _serve(registry, arguments.host, arguments.port)
    return exit_codes.OK


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
