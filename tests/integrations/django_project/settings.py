"""Settings of the project: one database, two applications, the middleware."""

from __future__ import annotations

import json
import os

SECRET_KEY = "for tests"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
DATABASES = {"default": json.loads(os.environ["PROJECT_DATABASE"])}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "cbstore_sql.integrations.django"]
MIDDLEWARE = ["cbstore_sql.integrations.django.middleware.RefusedCallMiddleware"]
ROOT_URLCONF = "tests.integrations.django_project.urls"
CBSTORE = json.loads(os.environ.get("PROJECT_CBSTORE", "{}"))
