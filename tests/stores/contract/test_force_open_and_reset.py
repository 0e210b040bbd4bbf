from cbstore_sql.testing.conformance.test_force_open_and_reset import *  # noqa: F403 - the suite for every store, run over ours
