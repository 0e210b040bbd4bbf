UPDATE breakers
SET state='closed',
previous_state=breakers.state,
generation=(breakers.generation + 1),
failure_count=0,
success_count=0,
last_failure_time=0.0,
open_until=0.0,
open_seconds=0.0,
probe_token='',
probe_until=0.0
WHERE breakers.namespace = :namespace
AND breakers.name = :name
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
