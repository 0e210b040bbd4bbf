from cbstore_sql.testing.conformance.test_claim_probe import *  # noqa: F403 - the suite for every store, run over ours
