UPDATE cbstore.breakers
SET state=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + $1 >= $2) THEN 'open'
  ELSE cbstore.breakers.state END,
previous_state=cbstore.breakers.state,
generation=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + $1 >= $2) THEN cbstore.breakers.generation + 1
  ELSE cbstore.breakers.generation END,
failure_count=(cbstore.breakers.failure_count + $1),
success_count=0,
last_failure_time=coalesce($3,
  date_part('epoch',
    clock_timestamp())),
open_until=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + $1 >= $2) THEN coalesce($3,
    date_part('epoch',
      clock_timestamp())) +
  CASE
    WHEN (cbstore.breakers.open_seconds > 0.0
      AND $4 > 1.0) THEN
    CASE
      WHEN (cbstore.breakers.open_seconds * $4 < $5) THEN cbstore.breakers.open_seconds * $4
      ELSE $5 END
    ELSE $6 END * $7
  ELSE
  CASE
    WHEN (cbstore.breakers.state = 'open') THEN
    CASE
      WHEN (cbstore.breakers.open_until > coalesce($3,
          date_part('epoch',
            clock_timestamp())) + $6) THEN cbstore.breakers.open_until
      ELSE coalesce($3,
        date_part('epoch',
          clock_timestamp())) + $6 END
    ELSE cbstore.breakers.open_until END END,
open_seconds=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + $1 >= $2) THEN
  CASE
    WHEN (cbstore.breakers.open_seconds > 0.0
      AND $4 > 1.0) THEN
    CASE
      WHEN (cbstore.breakers.open_seconds * $4 < $5) THEN cbstore.breakers.open_seconds * $4
      ELSE $5 END
    ELSE $6 END
  ELSE cbstore.breakers.open_seconds END,
probe_token=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + $1 >= $2) THEN ''
  ELSE cbstore.breakers.probe_token END,
probe_until=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + $1 >= $2) THEN 0.0
  ELSE cbstore.breakers.probe_until END
WHERE cbstore.breakers.namespace = $8
AND cbstore.breakers.name = $9
AND ($10 = -1
  OR cbstore.breakers.generation = $10
  AND cbstore.breakers.probe_token = $11
  AND (cbstore.breakers.state = 'closed'
    OR $11 != ''))
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
