INSERT INTO breakers (namespace,
  name,
  previous_state,
  hold_until)
VALUES (:namespace,
  :name,
  'closed',
  CASE
    WHEN (0.0 > coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :seconds) THEN 0.0
    ELSE coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :seconds END)
ON CONFLICT (namespace,
  name) DO UPDATE
SET previous_state = breakers.state,
hold_until =
CASE
  WHEN (breakers.hold_until > coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :seconds) THEN breakers.hold_until
  ELSE coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :seconds END
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
