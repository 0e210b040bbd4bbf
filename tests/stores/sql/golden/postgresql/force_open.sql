UPDATE cbstore.breakers
SET state='open',
previous_state=cbstore.breakers.state,
generation=(cbstore.breakers.generation + 1),
success_count=0,
last_failure_time=CASE
  WHEN (cbstore.breakers.last_failure_time > coalesce($1,
      date_part('epoch',
        clock_timestamp()))) THEN cbstore.breakers.last_failure_time
  ELSE coalesce($1,
    date_part('epoch',
      clock_timestamp())) END,
open_until=CASE
  WHEN (cbstore.breakers.open_until > coalesce($1,
      date_part('epoch',
        clock_timestamp())) + $2) THEN cbstore.breakers.open_until
  ELSE coalesce($1,
    date_part('epoch',
      clock_timestamp())) + $2 END,
probe_token='',
probe_until=0.0
WHERE cbstore.breakers.namespace = $3
AND cbstore.breakers.name = $4
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
coalesce($1,
  date_part('epoch',
    clock_timestamp())) AS as_of
