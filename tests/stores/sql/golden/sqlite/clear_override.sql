UPDATE breakers
SET previous_state=breakers.state,
override='',
override_until=0.0,
override_by='',
override_reason='',
history=CASE
  WHEN (breakers.override = '') THEN breakers.history
  ELSE substr(CAST(coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) * 1000 AS INTEGER) || 'U' || substr(breakers.state,
      1,
      1) || substr(breakers.state,
      1,
      1) || :label || ';' || breakers.history,
    1,
    256) END
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
coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) AS as_of
