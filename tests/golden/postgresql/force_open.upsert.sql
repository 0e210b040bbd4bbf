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
VALUES (%(namespace)s::VARCHAR,
  %(name)s::VARCHAR,
  'open',
  'closed',
  (0 + 1),
  0,
  CASE
    WHEN (0.0 > coalesce(%(now)s,
        date_part('epoch',
          clock_timestamp()))) THEN 0.0
    ELSE coalesce(%(now)s,
      date_part('epoch',
        clock_timestamp())) END,
  CASE
    WHEN (0.0 > coalesce(%(now)s,
        date_part('epoch',
          clock_timestamp())) + %(seconds)s) THEN 0.0
    ELSE coalesce(%(now)s,
      date_part('epoch',
        clock_timestamp())) + %(seconds)s END,
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
  WHEN (cbstore.breakers.last_failure_time > coalesce(%(now)s,
      date_part('epoch',
        clock_timestamp()))) THEN cbstore.breakers.last_failure_time
  ELSE coalesce(%(now)s,
    date_part('epoch',
      clock_timestamp())) END,
open_until =
CASE
  WHEN (cbstore.breakers.open_until > coalesce(%(now)s,
      date_part('epoch',
        clock_timestamp())) + %(seconds)s) THEN cbstore.breakers.open_until
  ELSE coalesce(%(now)s,
    date_part('epoch',
      clock_timestamp())) + %(seconds)s END,
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
coalesce(%(now)s,
  date_part('epoch',
    clock_timestamp())) AS as_of
