"""``make audit``: whether a known vulnerability is in what an installation of the library brings along.

pip-audit asks PyPI, and OSV where that says nothing, about the versions installed here. A vulnerability ends it with
1. Where neither can be asked, as behind a mirror that keeps no advisories, it says so and ends with 0: nothing was
found out, and that is no reason to stop.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = (
    "binary",
    "redis",
    "aiosqlite",
    "cli",
    "prometheus",
    "opentelemetry",
    "httpx",
    "httpx2",
    "requests",
    "aiohttp",
    "pybreaker",
    "circuitbreaker",
    "starlette",
    "fastapi",
    "flask",
    "django",
    "celery",
)
SERVICES = ("pypi", "osv")
GIVE_UP_AFTER = 300.0

Report = Mapping[str, Any]


def installed(root: Requirement) -> dict[str, str]:
    """Return the versions of what a requirement brings along, itself left out."""
    found: dict[str, str] = {}
    waiting = list(_needs(root))
    while waiting:
        need = waiting.pop()
        name = canonicalize_name(need.name)
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
        waiting += [each for each in _needs(need) if canonicalize_name(each.name) not in found]
    return found


def _needs(parent: Requirement) -> Iterator[Requirement]:
    for text in requires(parent.name) or ():
        need = Requirement(text)
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *parent.extras)):
            yield need


def ask(versions: Mapping[str, str], service: str) -> Report:
    """Return the report of pip-audit, or an empty report if it could not make one."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.writelines(f"{name}=={number}\n" for name, number in sorted(versions.items()))
        wanted.flush()
        how = ["--no-deps", "--disable-pip", "--format=json", "--progress-spinner=off"]
        command = [sys.executable, "-m", "pip_audit", *how, f"--vulnerability-service={service}", "-r", wanted.name]
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=GIVE_UP_AFTER)
            report: Report = json.loads(done.stdout)
        except (subprocess.TimeoutExpired, json.JSONDecodeError):
            return {}
    return report


def audited(report: Report) -> dict[str, list[str]]:
    """Return the known vulnerabilities by package. Packages without information are left out."""
    return {
        f"{package['name']} {package['version']}": [found["id"] for found in package["vulns"]]
        for package in report.get("dependencies", ())
        if "vulns" in package and "skip_reason" not in package
    }


def conclude(versions: Mapping[str, str], known: Mapping[str, list[str]]) -> tuple[int, list[str]]:
    """Return the exit code and the output."""
    lines = [f"VULNERABLE: {package}: {', '.join(ids)}" for package, ids in sorted(known.items()) if ids]
    asked = {package.split()[0] for package in known}
    unknown = sorted(set(versions) - asked)
    if not asked:
        lines.append("NOT AUDITED: neither PyPI's nor OSV's advisories can be had from here; run this where they can")
    elif unknown:
        lines.append(f"not audited, since nothing could be found out: {', '.join(unknown)}")
    lines.append(f"{len(asked)} of {len(versions)} packages audited, {sum(map(bool, known.values()))} vulnerable")
    return int(any(known.values())), lines


def main() -> int:
    """Audit the installation, print the result, and return the exit code."""
    versions = installed(Requirement(f"cbstore_sql[{','.join(EXTRAS)}]"))
    known: dict[str, list[str]] = {}
    for service in SERVICES:
        known = known or audited(ask(versions, service))
    code, lines = conclude(versions, known)
    sys.stdout.write("\n".join([*lines, ""]))
    return code


if __name__ == "__main__":
    sys.exit(main())
