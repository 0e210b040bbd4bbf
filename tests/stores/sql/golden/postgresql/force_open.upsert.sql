INSERT INTO cbstore.breakers (namespace,
  name,
  state,
  previous_state,
  generation,
  success_count,
  last_failure_time,
  open_until,
  probe_token,
  probe_until)
VALUES ($1,
  $2,
  'open',
  'closed',
  (0 + 1),
  0,
  CASE
    WHEN (0.0 > coalesce($3,
        date_part('epoch',
          clock_timestamp()))) THEN 0.0
    ELSE coalesce($3,
      date_part('epoch',
        clock_timestamp())) END,
  CASE
    WHEN (0.0 > coalesce($3,
        date_part('epoch',
          clock_timestamp())) + $4) THEN 0.0
    ELSE coalesce($3,
      date_part('epoch',
        clock_timestamp())) + $4 END,
  '',
  0.0)
ON CONFLICT (namespace,
  name) DO UPDATE
SET state = 'open',
previous_state = cbstore.breakers.state,
generation = (cbstore.breakers.generation + 1),
success_count = 0,
last_failure_time =
CASE
  WHEN (cbstore.breakers.last_failure_time > coalesce($3,
      date_part('epoch',
        clock_timestamp()))) THEN cbstore.breakers.last_failure_time
  ELSE coalesce($3,
    date_part('epoch',
      clock_timestamp())) END,
open_until =
CASE
  WHEN (cbstore.breakers.open_until > coalesce($3,
      date_part('epoch',
        clock_timestamp())) + $4) THEN cbstore.breakers.open_until
  ELSE coalesce($3,
    date_part('epoch',
      clock_timestamp())) + $4 END,
probe_token = '',
probe_until = 0.0
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
