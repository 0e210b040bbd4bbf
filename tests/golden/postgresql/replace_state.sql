UPDATE cbstore.breakers
SET state=CASE
  WHEN (%(state)s::VARCHAR = '') THEN cbstore.breakers.state
  ELSE %(state)s::VARCHAR END,
previous_state=cbstore.breakers.state,
generation=(cbstore.breakers.generation + 1),
failure_count=CASE
  WHEN (%(failure_count)s::BIGINT = -1) THEN cbstore.breakers.failure_count
  ELSE %(failure_count)s::BIGINT END,
success_count=0,
last_failure_time=CASE
  WHEN (%(last_failure_time)s = -1) THEN cbstore.breakers.last_failure_time
  ELSE %(last_failure_time)s END,
open_until=CASE
  WHEN (%(open_until)s = -1) THEN cbstore.breakers.open_until
  ELSE %(open_until)s END,
open_seconds=CASE
  WHEN (%(state)s::VARCHAR = 'closed') THEN 0.0
  ELSE cbstore.breakers.open_seconds END,
probe_token=CASE
  WHEN (%(probe)s::BIGINT = -1) THEN cbstore.breakers.probe_token
  ELSE
  CASE
    WHEN (%(probe)s::BIGINT = 1) THEN %(token)s::VARCHAR
    ELSE '' END END,
probe_until=CASE
  WHEN (%(probe)s::BIGINT = -1) THEN cbstore.breakers.probe_until
  ELSE
  CASE
    WHEN (%(probe)s::BIGINT = 1) THEN coalesce(%(now)s,
      date_part('epoch',
        clock_timestamp())) + %(lease)s
    ELSE 0.0 END END
WHERE cbstore.breakers.namespace = %(namespace)s::VARCHAR
AND cbstore.breakers.name = %(name)s::VARCHAR
AND (%(expected)s::VARCHAR = ''
  OR cbstore.breakers.state = %(expected)s::VARCHAR)
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
