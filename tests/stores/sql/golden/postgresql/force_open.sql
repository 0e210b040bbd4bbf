UPDATE cbstore.breakers
SET state='open',
previous_state=cbstore.breakers.state,
generation=(cbstore.breakers.generation + 1),
success_count=0,
last_failure_time=CASE
  WHEN (cbstore.breakers.last_failure_time > coalesce($1,
      pg_catalog.date_part('epoch',
        pg_catalog.clock_timestamp()))) THEN cbstore.breakers.last_failure_time
  ELSE coalesce($1,
    pg_catalog.date_part('epoch',
      pg_catalog.clock_timestamp())) END,
open_until=CASE
  WHEN (cbstore.breakers.open_until > coalesce($1,
      pg_catalog.date_part('epoch',
        pg_catalog.clock_timestamp())) + $2) THEN cbstore.breakers.open_until
  ELSE coalesce($1,
    pg_catalog.date_part('epoch',
      pg_catalog.clock_timestamp())) + $2 END,
probe_token='',
probe_until=0.0,
history=CASE
  WHEN (cbstore.breakers.state = 'open') THEN cbstore.breakers.history
  ELSE pg_catalog.substr(pg_catalog.concat(pg_catalog.floor(coalesce($1,
          pg_catalog.date_part('epoch',
            pg_catalog.clock_timestamp())) * 1000),
      'F',
      pg_catalog.substr(cbstore.breakers.state,
        1,
        1),
      'o',
      $3,
      ';',
      cbstore.breakers.history),
    1,
    256) END
WHERE cbstore.breakers.namespace = $4
AND cbstore.breakers.name = $5
RETURNING cbstore.breakers.previous_state,
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
cbstore.breakers.override_reason,
coalesce($1,
  pg_catalog.date_part('epoch',
    pg_catalog.clock_timestamp())) AS as_of
