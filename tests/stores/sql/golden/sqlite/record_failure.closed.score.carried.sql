UPDATE breakers
SET state=CASE
  WHEN (breakers.score_generation = breakers.generation
    AND breakers.score >= :enough) THEN 'open'
  ELSE 'closed' END,
previous_state='closed',
generation=CASE
  WHEN (breakers.score_generation = breakers.generation
    AND breakers.score >= :enough) THEN breakers.generation + 1
  ELSE breakers.generation END,
failure_count=:failures,
success_count=0,
last_failure_time=coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)),
open_until=CASE
  WHEN (breakers.score_generation = breakers.generation
    AND breakers.score >= :enough) THEN coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :recovery_timeout * :stretch
  ELSE breakers.open_until END,
open_seconds=CASE
  WHEN (breakers.score_generation = breakers.generation
    AND breakers.score >= :enough) THEN :recovery_timeout
  ELSE breakers.open_seconds END,
score=(CASE
    WHEN (breakers.score_generation = breakers.generation
      AND breakers.score > :relief) THEN breakers.score - :relief
    ELSE 0.0 END + :evidence),
score_generation=breakers.generation,
history=CASE
  WHEN (breakers.score_generation = breakers.generation
    AND breakers.score >= :enough) THEN substr(CAST(coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) * 1000 AS INTEGER) || 'Sco' || :label || ';' || breakers.history,
    1,
    256)
  ELSE breakers.history END
WHERE breakers.namespace = :namespace
AND breakers.name = :name
AND breakers.state = 'closed'
AND breakers.probe_token = ''
AND breakers.generation = :generation
RETURNING state,
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
override_reason
