"""``make dist``: build the wheel and the sdist, check them, and use them in fresh environments.

The artefacts go to ``dist/``. Each Python that is found (on PATH, or beside the running one under pyenv) gets an
environment with nothing but the wheel and what it requires; the oldest also gets one with the sdist.
"""
