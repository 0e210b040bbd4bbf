UPDATE cbstore.breakers
SET previous_state=cbstore.breakers.state,
generation=(cbstore.breakers.generation + 1),
probe_token='',
probe_until=0.0
WHERE cbstore.breakers.namespace = $1
AND cbstore.breakers.name = $2
AND cbstore.breakers.state = 'half_open'
AND cbstore.breakers.generation = $3
AND cbstore.breakers.probe_token = $4
AND (cbstore.breakers.state = 'closed'
  OR $4 != '')
RETURNING cbstore.breakers.state,
cbstore.breakers.previous_state,
cbstore.breakers.generation,
cbstore.breakers.failure_count,
cbstore.breakers.success_count,
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
