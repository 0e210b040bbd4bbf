UPDATE breakers
SET previous_state=breakers.state,
generation=(breakers.generation + 1),
probe_token='',
probe_until=0.0
WHERE breakers.namespace = :namespace
AND breakers.name = :name
AND breakers.state = 'half_open'
AND breakers.generation = :generation
AND breakers.probe_token = :token
AND (breakers.state = 'closed'
  OR :token != '')
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
