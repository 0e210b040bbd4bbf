UPDATE breakers
SET state=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.failure_count + :failures >= :failure_threshold) THEN 'open'
  ELSE breakers.state END,
previous_state=breakers.state,
generation=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.failure_count + :failures >= :failure_threshold) THEN breakers.generation + 1
  ELSE breakers.generation END,
failure_count=(breakers.failure_count + :failures),
success_count=0,
last_failure_time=coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)),
open_until=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.failure_count + :failures >= :failure_threshold) THEN coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :recovery_timeout * :stretch
  ELSE
  CASE
    WHEN (breakers.state = 'open') THEN
    CASE
      WHEN (breakers.open_until > coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :recovery_timeout) THEN breakers.open_until
      ELSE coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :recovery_timeout END
    ELSE breakers.open_until END END,
open_seconds=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.failure_count + :failures >= :failure_threshold) THEN :recovery_timeout
  ELSE breakers.open_seconds END,
probe_token=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.failure_count + :failures >= :failure_threshold) THEN ''
  ELSE breakers.probe_token END,
probe_until=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.failure_count + :failures >= :failure_threshold) THEN 0.0
  ELSE breakers.probe_until END,
history=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.failure_count + :failures >= :failure_threshold) THEN substr(CAST(coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) * 1000 AS INTEGER) ||
    CASE
      WHEN (breakers.state = 'half_open') THEN 'P'
      ELSE 'N' END || substr(breakers.state,
      1,
      1) || 'o' || :label || ';' || breakers.history,
    1,
    256)
  ELSE breakers.history END
WHERE breakers.namespace = :namespace
AND breakers.name = :name
RETURNING state,
previous_state,
generation,
failure_count,
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
override_reason
