UPDATE breakers
SET previous_state='closed',
failure_count=0,
success_count=0,
open_seconds=CASE
  WHEN (breakers.success_count + 1 >= :success_threshold) THEN 0.0
  ELSE breakers.open_seconds END,
score=CASE
  WHEN (breakers.score_generation = breakers.generation
    AND breakers.score > :relief) THEN breakers.score - :relief
  ELSE 0.0 END,
score_generation=breakers.generation
WHERE breakers.namespace = :namespace
AND breakers.name = :name
AND breakers.state = 'closed'
AND breakers.probe_token = ''
AND breakers.generation = :generation
AND (breakers.failure_count > 0
  OR breakers.score_generation = breakers.generation
  AND breakers.score > 0.0)
RETURNING generation,
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
