UPDATE cbstore.breakers
SET state='half_open',
previous_state=cbstore.breakers.state,
generation=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    AND cbstore.breakers.probe_token = $1
    AND cbstore.breakers.probe_until > coalesce($2,
      date_part('epoch',
        clock_timestamp()))) THEN cbstore.breakers.generation
  ELSE cbstore.breakers.generation + 1 END,
success_count=CASE
  WHEN (cbstore.breakers.state = 'open') THEN 0
  ELSE cbstore.breakers.success_count END,
probe_token=$1,
probe_until=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    AND cbstore.breakers.probe_token = $1
    AND cbstore.breakers.probe_until > coalesce($2,
      date_part('epoch',
        clock_timestamp()))) THEN cbstore.breakers.probe_until
  ELSE coalesce($2,
    date_part('epoch',
      clock_timestamp())) + $3 END
WHERE cbstore.breakers.namespace = $4
AND cbstore.breakers.name = $5
AND (cbstore.breakers.state = 'open'
  AND cbstore.breakers.open_until <= coalesce($2,
    date_part('epoch',
      clock_timestamp()))
  OR cbstore.breakers.state = 'half_open'
  AND cbstore.breakers.probe_until <= coalesce($2,
    date_part('epoch',
      clock_timestamp()))
  OR cbstore.breakers.state = 'half_open'
  AND cbstore.breakers.probe_token = $1
  AND cbstore.breakers.probe_until > coalesce($2,
    date_part('epoch',
      clock_timestamp())))
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
coalesce($2,
  date_part('epoch',
    clock_timestamp())) AS as_of
