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
probe_until=0.0,
score=0.0,
closed_at=0.0,
hold_until=0.0,
history=CASE
  WHEN (breakers.state = 'closed') THEN breakers.history
  ELSE substr(CAST(coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) * 1000 AS INTEGER) || 'R' || substr(breakers.state,
      1,
      1) || 'c' || :label || ';' || breakers.history,
    1,
    256) END
WHERE breakers.namespace = :namespace
AND breakers.name = :name
RETURNING previous_state,
generation,
score_generation,
override,
override_until,
override_by,
override_reason,
coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) AS as_of
