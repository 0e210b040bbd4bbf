"""The servers of the fault suite, which may be restarted."""

from __future__ import annotations

from tests.system.faults.conftest import cluster, proxy, server, store

__all__ = ["cluster", "proxy", "server", "store"]
