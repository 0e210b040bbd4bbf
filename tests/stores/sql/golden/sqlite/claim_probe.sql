UPDATE breakers
SET state='half_open',
previous_state=breakers.state,
generation=CASE
  WHEN (breakers.state = 'half_open'
    AND breakers.probe_token = :token
    AND breakers.probe_until > coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0))) THEN breakers.generation
  ELSE breakers.generation + 1 END,
success_count=CASE
  WHEN (breakers.state = 'open') THEN 0
  ELSE breakers.success_count END,
probe_token=:token,
probe_until=CASE
  WHEN (breakers.state = 'half_open'
    AND breakers.probe_token = :token
    AND breakers.probe_until > coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0))) THEN breakers.probe_until
  ELSE coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :lease END,
history=CASE
  WHEN (breakers.state = 'open') THEN substr(CAST(coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) * 1000 AS INTEGER) || 'Qoh' || :label || ';' || breakers.history,
    1,
    256)
  ELSE breakers.history END
WHERE breakers.namespace = :namespace
AND breakers.name = :name
AND (breakers.state = 'half_open'
  AND breakers.probe_token = :token
  AND breakers.probe_until > coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0))
  OR (breakers.override != 'open'
    OR breakers.override_until > 0.0
    AND breakers.override_until <= coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)))
  AND (breakers.hold_until <= coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0))
    OR breakers.override = 'closed'
    AND (breakers.override_until = 0.0
      OR breakers.override_until > coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0))))
  AND (breakers.state = 'open'
    AND breakers.open_until <= coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0))
    OR breakers.state = 'half_open'
    AND breakers.probe_until <= coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0))))
RETURNING previous_state,
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
