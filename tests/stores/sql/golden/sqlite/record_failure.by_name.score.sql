UPDATE breakers
SET state=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.score_generation = breakers.generation
    AND breakers.score >= :enough) THEN 'open'
  ELSE breakers.state END,
previous_state=breakers.state,
generation=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.score_generation = breakers.generation
    AND breakers.score >= :enough) THEN breakers.generation + 1
  ELSE breakers.generation END,
failure_count=(breakers.failure_count + :failures),
success_count=0,
last_failure_time=coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)),
open_until=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.score_generation = breakers.generation
    AND breakers.score >= :enough) THEN coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :recovery_timeout * :stretch
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
    AND breakers.score_generation = breakers.generation
    AND breakers.score >= :enough) THEN :recovery_timeout
  ELSE breakers.open_seconds END,
probe_token=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.score_generation = breakers.generation
    AND breakers.score >= :enough) THEN ''
  ELSE breakers.probe_token END,
probe_until=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.score_generation = breakers.generation
    AND breakers.score >= :enough) THEN 0.0
  ELSE breakers.probe_until END,
score=CASE
  WHEN (breakers.state = 'closed') THEN
  CASE
    WHEN (breakers.score_generation = breakers.generation
      AND breakers.score > 0.0) THEN breakers.score
    ELSE 0.0 END + :evidence
  ELSE breakers.score END,
score_generation=CASE
  WHEN (breakers.state = 'closed') THEN breakers.generation
  ELSE breakers.score_generation END,
history=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.score_generation = breakers.generation
    AND breakers.score >= :enough) THEN substr(CAST(coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) * 1000 AS INTEGER) ||
    CASE
      WHEN (breakers.state = 'half_open') THEN 'P'
      ELSE 'S' END || substr(breakers.state,
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
