UPDATE cbstore.breakers
SET state=CASE
  WHEN ($1 = '') THEN cbstore.breakers.state
  ELSE $1 END,
previous_state=cbstore.breakers.state,
generation=(cbstore.breakers.generation + 1),
failure_count=CASE
  WHEN ($2 = -1) THEN cbstore.breakers.failure_count
  ELSE $2 END,
success_count=0,
last_failure_time=CASE
  WHEN ($3 = -1) THEN cbstore.breakers.last_failure_time
  ELSE $3 END,
open_until=CASE
  WHEN ($4 = -1) THEN cbstore.breakers.open_until
  ELSE $4 END,
open_seconds=CASE
  WHEN ($1 = 'closed') THEN 0.0
  ELSE cbstore.breakers.open_seconds END,
probe_token=CASE
  WHEN ($5 = -1) THEN cbstore.breakers.probe_token
  ELSE
  CASE
    WHEN ($5 = 1) THEN $6
    ELSE '' END END,
probe_until=CASE
  WHEN ($5 = -1) THEN cbstore.breakers.probe_until
  ELSE
  CASE
    WHEN ($5 = 1) THEN coalesce($7,
      date_part('epoch',
        clock_timestamp())) + $8
    ELSE 0.0 END END
WHERE cbstore.breakers.namespace = $9
AND cbstore.breakers.name = $10
AND ($11 = ''
  OR cbstore.breakers.state = $11)
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
