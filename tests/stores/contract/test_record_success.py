from cbstore_sql.testing.conformance.test_record_success import *  # noqa: F403 - the suite for every store, run over ours
