"""The Celery example with short times and a unique queue on a shared broker."""

from __future__ import annotations

import os

from celery import Celery

from cbstore_sql import BreakerPolicy
from examples import celery_worker

celery_worker.POLICY = BreakerPolicy(failure_threshold=3, recovery_timeout=0.5)

app: Celery = celery_worker.app
app.conf.broker_transport_options = {"global_keyprefix": os.environ["KEY_PREFIX"]}
