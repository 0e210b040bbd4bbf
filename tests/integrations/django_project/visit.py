"""Visit the project's pages given as arguments and print each answer as one line of JSON."""

from __future__ import annotations

import json
import sys

import django
from django.test import Client

from cbstore_sql.integrations.django import breakers

if __name__ == "__main__":
    django.setup()
    client = Client(raise_request_exception=False)
    for page in sys.argv[1:]:
        answer = client.get(page)
        body = answer.json() if answer["Content-Type"] == "application/json" else None
        sys.stdout.write(json.dumps([answer.status_code, answer.get("Retry-After"), body]) + "\n")
    breakers.close()
