UPDATE cbstore.breakers
SET previous_state='closed',
failure_count=0,
success_count=0,
open_seconds=CASE
  WHEN (cbstore.breakers.success_count + 1 >= $1) THEN 0.0
  ELSE cbstore.breakers.open_seconds END
WHERE cbstore.breakers.namespace = $2
AND cbstore.breakers.name = $3
AND cbstore.breakers.state = 'closed'
AND cbstore.breakers.probe_token = ''
AND cbstore.breakers.generation = $4
AND cbstore.breakers.failure_count > 0
RETURNING cbstore.breakers.generation,
cbstore.breakers.last_failure_time,
cbstore.breakers.open_until,
cbstore.breakers.open_seconds,
cbstore.breakers.score,
cbstore.breakers.score_generation,
cbstore.breakers.closed_at,
cbstore.breakers.hold_until,
cbstore.breakers.override,
cbstore.breakers.override_until,
cbstore.breakers.override_by,
cbstore.breakers.override_reason,
coalesce($5,
  pg_catalog.date_part('epoch',
    pg_catalog.clock_timestamp())) AS as_of
