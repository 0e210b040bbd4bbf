"""Many processes use PostgreSQL for minutes during faults: ``python -m tests.system.soak``."""
