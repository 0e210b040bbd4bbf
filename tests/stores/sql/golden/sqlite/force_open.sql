UPDATE breakers
SET state='open',
previous_state=breakers.state,
generation=(breakers.generation + 1),
success_count=0,
last_failure_time=CASE
  WHEN (breakers.last_failure_time > coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0))) THEN breakers.last_failure_time
  ELSE coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) END,
open_until=CASE
  WHEN (breakers.open_until > coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :seconds) THEN breakers.open_until
  ELSE coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :seconds END,
probe_token='',
probe_until=0.0,
history=CASE
  WHEN (breakers.state = 'open') THEN breakers.history
  ELSE substr(CAST(coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) * 1000 AS INTEGER) || 'F' || substr(breakers.state,
      1,
      1) || 'o' || :label || ';' || breakers.history,
    1,
    256) END
WHERE breakers.namespace = :namespace
AND breakers.name = :name
RETURNING previous_state,
generation,
failure_count,
last_failure_time,
open_until,
open_seconds,
score,
score_generation,
closed_at,
hold_until,
override,
override_until,
override_by,
override_reason,
coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) AS as_of
