UPDATE breakers
SET state=CASE
  WHEN (breakers.success_count + 1 >= :success_threshold) THEN 'closed'
  ELSE breakers.state END,
previous_state=breakers.state,
generation=CASE
  WHEN (breakers.state = 'half_open') THEN breakers.generation + 1
  ELSE breakers.generation END,
failure_count=CASE
  WHEN (breakers.success_count + 1 >= :success_threshold) THEN 0
  ELSE
  CASE
    WHEN (breakers.state = 'half_open') THEN breakers.failure_count
    ELSE 0 END END,
success_count=CASE
  WHEN (breakers.success_count + 1 >= :success_threshold) THEN 0
  ELSE
  CASE
    WHEN (breakers.state = 'half_open') THEN breakers.success_count + 1
    ELSE 0 END END,
open_seconds=CASE
  WHEN (breakers.success_count + 1 >= :success_threshold) THEN 0.0
  ELSE breakers.open_seconds END,
probe_token='',
probe_until=0.0,
closed_at=CASE
  WHEN (breakers.state = 'half_open'
    AND breakers.success_count + 1 >= :success_threshold) THEN coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0))
  ELSE breakers.closed_at END,
history=CASE
  WHEN (breakers.state = 'half_open'
    AND breakers.success_count + 1 >= :success_threshold) THEN substr(CAST(coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) * 1000 AS INTEGER) || 'Khc' || :label || ';' || breakers.history,
    1,
    256)
  ELSE breakers.history END
WHERE breakers.namespace = :namespace
AND breakers.name = :name
AND (breakers.state = 'half_open'
  OR breakers.state = 'closed'
  AND (breakers.failure_count > 0
    OR breakers.probe_until > 0.0))
RETURNING state,
previous_state,
generation,
failure_count,
success_count,
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
