from cbstore_sql.testing.conformance.test_processes import *  # noqa: F403 - the suite for every store, run over ours
