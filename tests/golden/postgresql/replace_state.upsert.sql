INSERT INTO cbstore.breakers (namespace,
  name,
  state,
  previous_state,
  generation,
  failure_count,
  success_count,
  last_failure_time,
  open_until,
  open_seconds,
  probe_token,
  probe_until)
VALUES (%(namespace)s::VARCHAR,
  %(name)s::VARCHAR,
  CASE
    WHEN (%(state)s::VARCHAR = '') THEN 'closed'
    ELSE %(state)s::VARCHAR END,
  'closed',
  (0 + 1),
  CASE
    WHEN (%(failure_count)s::BIGINT = -1) THEN 0
    ELSE %(failure_count)s::BIGINT END,
  0,
  CASE
    WHEN (%(last_failure_time)s = -1) THEN 0.0
    ELSE %(last_failure_time)s END,
  CASE
    WHEN (%(open_until)s = -1) THEN 0.0
    ELSE %(open_until)s END,
  CASE
    WHEN (%(state)s::VARCHAR = 'closed') THEN 0.0
    ELSE 0.0 END,
  CASE
    WHEN (%(probe)s::BIGINT = -1) THEN ''
    ELSE
    CASE
      WHEN (%(probe)s::BIGINT = 1) THEN %(token)s::VARCHAR
      ELSE '' END END,
  CASE
    WHEN (%(probe)s::BIGINT = -1) THEN 0.0
    ELSE
    CASE
      WHEN (%(probe)s::BIGINT = 1) THEN coalesce(%(now)s,
        date_part('epoch',
          clock_timestamp())) + %(lease)s
      ELSE 0.0 END END)
ON CONFLICT (namespace,
  name) DO UPDATE
SET state =
CASE
  WHEN (%(state)s::VARCHAR = '') THEN cbstore.breakers.state
  ELSE %(state)s::VARCHAR END,
previous_state = cbstore.breakers.state,
generation = (cbstore.breakers.generation + 1),
failure_count =
CASE
  WHEN (%(failure_count)s::BIGINT = -1) THEN cbstore.breakers.failure_count
  ELSE %(failure_count)s::BIGINT END,
success_count = 0,
last_failure_time =
CASE
  WHEN (%(last_failure_time)s = -1) THEN cbstore.breakers.last_failure_time
  ELSE %(last_failure_time)s END,
open_until =
CASE
  WHEN (%(open_until)s = -1) THEN cbstore.breakers.open_until
  ELSE %(open_until)s END,
open_seconds =
CASE
  WHEN (%(state)s::VARCHAR = 'closed') THEN 0.0
  ELSE cbstore.breakers.open_seconds END,
probe_token =
CASE
  WHEN (%(probe)s::BIGINT = -1) THEN cbstore.breakers.probe_token
  ELSE
  CASE
    WHEN (%(probe)s::BIGINT = 1) THEN %(token)s::VARCHAR
    ELSE '' END END,
probe_until =
CASE
  WHEN (%(probe)s::BIGINT = -1) THEN cbstore.breakers.probe_until
  ELSE
  CASE
    WHEN (%(probe)s::BIGINT = 1) THEN coalesce(%(now)s,
      date_part('epoch',
        clock_timestamp())) + %(lease)s
    ELSE 0.0 END END
WHERE %(expected)s::VARCHAR = ''
OR cbstore.breakers.state = %(expected)s::VARCHAR
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
