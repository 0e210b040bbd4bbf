from cbstore_sql.testing.conformance.test_release_and_renew_probe import *  # noqa: F403 - the suite for every store, run over ours
