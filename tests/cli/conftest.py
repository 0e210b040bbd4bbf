from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the developer's database settings from the environment."""
    for name in ("CBSTORE_URL", "CBSTORE_SCHEMA", "CBSTORE_NAMESPACE", "CBSTORE_VERSION_TABLE"):
        monkeypatch.delenv(name, raising=False)
