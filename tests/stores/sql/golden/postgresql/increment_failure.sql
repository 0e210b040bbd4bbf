UPDATE cbstore.breakers
SET previous_state=cbstore.breakers.state,
failure_count=(cbstore.breakers.failure_count + 1)
WHERE cbstore.breakers.namespace = $1
AND cbstore.breakers.name = $2
RETURNING cbstore.breakers.state,
cbstore.breakers.previous_state,
cbstore.breakers.generation,
cbstore.breakers.failure_count,
cbstore.breakers.success_count,
cbstore.breakers.last_failure_time,
cbstore.breakers.open_until,
cbstore.breakers.open_seconds,
cbstore.breakers.probe_token,
cbstore.breakers.probe_until,
coalesce($3,
  date_part('epoch',
    clock_timestamp())) AS as_of
