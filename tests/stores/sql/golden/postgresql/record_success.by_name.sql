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
probe_until=0.0,
closed_at=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    AND cbstore.breakers.success_count + 1 >= $1) THEN coalesce($2,
    pg_catalog.date_part('epoch',
      pg_catalog.clock_timestamp()))
  ELSE cbstore.breakers.closed_at END,
history=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    AND cbstore.breakers.success_count + 1 >= $1) THEN pg_catalog.substr(pg_catalog.concat(pg_catalog.floor(coalesce($2,
          pg_catalog.date_part('epoch',
            pg_catalog.clock_timestamp())) * 1000),
      'Khc',
      $3,
      ';',
      cbstore.breakers.history),
    1,
    256)
  ELSE cbstore.breakers.history END
WHERE cbstore.breakers.namespace = $4
AND cbstore.breakers.name = $5
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
cbstore.breakers.score,
cbstore.breakers.score_generation,
cbstore.breakers.closed_at,
cbstore.breakers.hold_until,
cbstore.breakers.override,
cbstore.breakers.override_until,
cbstore.breakers.override_by,
cbstore.breakers.override_reason,
coalesce($2,
  pg_catalog.date_part('epoch',
    pg_catalog.clock_timestamp())) AS as_of
