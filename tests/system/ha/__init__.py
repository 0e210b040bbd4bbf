"""A Patroni cluster under guarded calls: what a switchover and a failover cost; `python -m tests.system.ha`."""
