"""The library's random numbers, which do not change a random sequence that the application has seeded."""

from __future__ import annotations

import os
import random

rng = random.Random()
"""The random numbers for pauses and jitter. Every process draws different numbers, also after a fork."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=rng.seed)
