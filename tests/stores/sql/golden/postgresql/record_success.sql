UPDATE cbstore.breakers
SET state=CASE
  WHEN (cbstore.breakers.success_count + 1 >= $1) THEN 'closed'
  ELSE cbstore.breakers.state END,
previous_state=cbstore.breakers.state,
generation=CASE
  WHEN (cbstore.breakers.state = 'half_open') THEN cbstore.breakers.generation + 1
  ELSE cbstore.breakers.generation END,
failure_count=CASE
  WHEN (cbstore.breakers.success_count + 1 >= $1) THEN 0
  ELSE
  CASE
    WHEN (cbstore.breakers.state = 'half_open') THEN cbstore.breakers.failure_count
    ELSE 0 END END,
success_count=CASE
  WHEN (cbstore.breakers.success_count + 1 >= $1) THEN 0
  ELSE
  CASE
    WHEN (cbstore.breakers.state = 'half_open') THEN cbstore.breakers.success_count + 1
    ELSE 0 END END,
open_seconds=CASE
  WHEN (cbstore.breakers.success_count + 1 >= $1) THEN 0.0
  ELSE cbstore.breakers.open_seconds END,
probe_token='',
probe_until=0.0
WHERE cbstore.breakers.namespace = $2
AND cbstore.breakers.name = $3
AND ($4 = -1
  OR cbstore.breakers.generation = $4
  AND cbstore.breakers.probe_token = $5
  AND (cbstore.breakers.state = 'closed'
    OR $5 != ''))
AND ($6 = ''
  OR cbstore.breakers.state = $6)
AND (cbstore.breakers.state = 'half_open'
  OR cbstore.breakers.state = 'closed'
  AND (cbstore.breakers.failure_count > 0
    OR cbstore.breakers.probe_until > 0.0))
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
coalesce($7,
  date_part('epoch',
    clock_timestamp())) AS as_of
