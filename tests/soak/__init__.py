"""Many processes at work on PostgreSQL for minutes, while faults are made all the while: ``python -m tests.soak``."""
