"""Random numbers of the library's own: whoever has seeded Python's finds it undisturbed."""

from __future__ import annotations

import os
import random

rng = random.Random()
"""Draws for pauses and jitter, in each process differently."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=rng.seed)
