"""Many processes work on PostgreSQL for minutes while faults are made: ``python -m tests.system.soak``."""
