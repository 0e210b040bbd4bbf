UPDATE cbstore.breakers
SET state='closed',
previous_state=cbstore.breakers.state,
generation=(cbstore.breakers.generation + 1),
failure_count=0,
success_count=0,
last_failure_time=0.0,
open_until=0.0,
open_seconds=0.0,
probe_token='',
probe_until=0.0
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
