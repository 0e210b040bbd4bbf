INSERT INTO cbstore.breakers (namespace,
  name,
  state,
  previous_state,
  generation,
  success_count,
  probe_token,
  probe_until)
VALUES (%(namespace)s::VARCHAR,
  %(name)s::VARCHAR,
  'half_open',
  'closed',
  CASE
    WHEN ('closed' = 'half_open'
      AND '' = %(token)s::VARCHAR
      AND 0.0 > coalesce(%(now)s,
        date_part('epoch',
          clock_timestamp()))) THEN 0
    ELSE 0 + 1 END,
  CASE
    WHEN ('closed' = 'open') THEN 0
    ELSE 0 END,
  %(token)s::VARCHAR,
  CASE
    WHEN ('closed' = 'half_open'
      AND '' = %(token)s::VARCHAR
      AND 0.0 > coalesce(%(now)s,
        date_part('epoch',
          clock_timestamp()))) THEN 0.0
    ELSE coalesce(%(now)s,
      date_part('epoch',
        clock_timestamp())) + %(lease)s END)
ON CONFLICT (namespace,
  name) DO UPDATE
SET state = 'half_open',
previous_state = cbstore.breakers.state,
generation =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    AND cbstore.breakers.probe_token = %(token)s::VARCHAR
    AND cbstore.breakers.probe_until > coalesce(%(now)s,
      date_part('epoch',
        clock_timestamp()))) THEN cbstore.breakers.generation
  ELSE cbstore.breakers.generation + 1 END,
success_count =
CASE
  WHEN (cbstore.breakers.state = 'open') THEN 0
  ELSE cbstore.breakers.success_count END,
probe_token = %(token)s::VARCHAR,
probe_until =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    AND cbstore.breakers.probe_token = %(token)s::VARCHAR
    AND cbstore.breakers.probe_until > coalesce(%(now)s,
      date_part('epoch',
        clock_timestamp()))) THEN cbstore.breakers.probe_until
  ELSE coalesce(%(now)s,
    date_part('epoch',
      clock_timestamp())) + %(lease)s END
WHERE cbstore.breakers.state = 'open'
AND cbstore.breakers.open_until <= coalesce(%(now)s,
  date_part('epoch',
    clock_timestamp()))
OR cbstore.breakers.state = 'half_open'
AND cbstore.breakers.probe_until <= coalesce(%(now)s,
  date_part('epoch',
    clock_timestamp()))
OR cbstore.breakers.state = 'half_open'
AND cbstore.breakers.probe_token = %(token)s::VARCHAR
AND cbstore.breakers.probe_until > coalesce(%(now)s,
  date_part('epoch',
    clock_timestamp()))
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
