UPDATE cbstore.breakers
SET state=CASE
  WHEN ($1 >= $2) THEN 'open'
  ELSE 'closed' END,
previous_state='closed',
generation=CASE
  WHEN ($1 >= $2) THEN cbstore.breakers.generation + 1
  ELSE cbstore.breakers.generation END,
failure_count=$1,
success_count=0,
last_failure_time=coalesce($3,
  pg_catalog.date_part('epoch',
    pg_catalog.clock_timestamp())),
open_until=CASE
  WHEN ($1 >= $2) THEN coalesce($3,
    pg_catalog.date_part('epoch',
      pg_catalog.clock_timestamp())) + $4 * $5
  ELSE cbstore.breakers.open_until END,
open_seconds=CASE
  WHEN ($1 >= $2) THEN $4
  ELSE cbstore.breakers.open_seconds END,
history=CASE
  WHEN ($1 >= $2) THEN pg_catalog.substr(pg_catalog.concat(pg_catalog.floor(coalesce($3,
          pg_catalog.date_part('epoch',
            pg_catalog.clock_timestamp())) * 1000),
      'Nco',
      $6,
      ';',
      cbstore.breakers.history),
    1,
    256)
  ELSE cbstore.breakers.history END
WHERE cbstore.breakers.namespace = $7
AND cbstore.breakers.name = $8
AND cbstore.breakers.state = 'closed'
AND cbstore.breakers.probe_token = ''
AND cbstore.breakers.generation = $9
RETURNING cbstore.breakers.state,
cbstore.breakers.generation,
cbstore.breakers.failure_count,
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
cbstore.breakers.override_reason
