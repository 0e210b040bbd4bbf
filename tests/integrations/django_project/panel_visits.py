"""Visits the panel without a login and as a member of the staff, and prints one line of JSON for each answer."""

from __future__ import annotations

import json
import sys
from urllib.parse import urlencode

import django
from django.test import Client

from cbstore_sql.integrations.django import breakers

_FORM = "application/x-www-form-urlencoded"
_ORDER = urlencode({"namespace": "default", "name": "rates", "action": "lock-closed", "reason": "the service is back"})


def main() -> None:
    """Read a page, make a change, and try a change from another site."""
    from django.contrib.auth.models import User

    breakers.current().force_open("rates", 600.0)
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    answers = [client.get("/ops/breakers/")]
    client.force_login(User.objects.create_user("ada", is_staff=True))
    answers += [client.get("/ops/breakers/"), client.get("/ops/breakers/breaker?namespace=default&name=rates")]
    asset = "/ops/breakers/static/panel.css"
    answers += [client.get(asset)]
    answers += [client.post("/ops/breakers/act", _ORDER, _FORM, headers={"origin": "https://evil.example"})]
    own = {"host": "testserver", "origin": "http://testserver", "sec-fetch-site": "same-origin"}
    answers += [client.post("/ops/breakers/act", _ORDER, _FORM, headers=own)]
    for answer in answers:
        text = answer.content.decode()
        sys.stdout.write(json.dumps([answer.status_code, answer.get("Location"), "rates" in text]) + "\n")
    snapshot = breakers.current().snapshot("rates")
    sys.stdout.write(json.dumps([snapshot.override, snapshot.override_by, snapshot.override_reason]) + "\n")
    breakers.close()


if __name__ == "__main__":
    django.setup()
    main()
