"""Fixtures with the servers of the fault tests, which a test can restart."""

from __future__ import annotations

from tests.system.faults.conftest import cluster, proxy, server, store

__all__ = ["cluster", "proxy", "server", "store"]
