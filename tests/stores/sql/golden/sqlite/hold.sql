UPDATE breakers
SET previous_state=breakers.state,
hold_until=CASE
  WHEN (breakers.hold_until > coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :seconds) THEN breakers.hold_until
  ELSE coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :seconds END
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
score,
score_generation,
closed_at,
hold_until,
override,
override_until,
override_by,
override_reason,
coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) AS as_of
