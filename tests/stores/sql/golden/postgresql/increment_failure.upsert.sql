INSERT INTO cbstore.breakers (namespace,
  name,
  previous_state,
  failure_count)
VALUES ($1,
  $2,
  'closed',
  (0 + 1))
ON CONFLICT (namespace,
  name) DO UPDATE
SET previous_state = cbstore.breakers.state,
failure_count = (cbstore.breakers.failure_count + 1)
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
