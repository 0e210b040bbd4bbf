INSERT INTO breakers (namespace,
  name,
  previous_state,
  failure_count)
VALUES (:namespace,
  :name,
  'closed',
  (0 + 1))
ON CONFLICT (namespace,
  name) DO UPDATE
SET previous_state = breakers.state,
failure_count = (breakers.failure_count + 1)
RETURNING state,
previous_state,
generation,
failure_count,
success_count,
last_failure_time,
open_until,
open_seconds,
probe_token,
probe_until,
coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) AS as_of
