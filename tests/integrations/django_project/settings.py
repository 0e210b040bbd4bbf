"""Settings of the project: one database, two applications, the middleware."""

from __future__ import annotations

import json
import os

SECRET_KEY = "for tests"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
DATABASES = {"default": json.loads(os.environ["PROJECT_DATABASE"])}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "cbstore_sql.integrations.django",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "cbstore_sql.integrations.django.middleware.RefusedCallMiddleware",
]
ROOT_URLCONF = "tests.integrations.django_project.urls"
LOGIN_URL = "/login"
CBSTORE = json.loads(os.environ.get("PROJECT_CBSTORE", "{}"))
