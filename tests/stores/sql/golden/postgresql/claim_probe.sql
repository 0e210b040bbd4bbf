UPDATE cbstore.breakers
SET state='half_open',
previous_state=cbstore.breakers.state,
generation=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    AND cbstore.breakers.probe_token = $1
    AND cbstore.breakers.probe_until > coalesce($2,
      pg_catalog.date_part('epoch',
        pg_catalog.clock_timestamp()))) THEN cbstore.breakers.generation
  ELSE cbstore.breakers.generation + 1 END,
success_count=CASE
  WHEN (cbstore.breakers.state = 'open') THEN 0
  ELSE cbstore.breakers.success_count END,
probe_token=$1,
probe_until=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    AND cbstore.breakers.probe_token = $1
    AND cbstore.breakers.probe_until > coalesce($2,
      pg_catalog.date_part('epoch',
        pg_catalog.clock_timestamp()))) THEN cbstore.breakers.probe_until
  ELSE coalesce($2,
    pg_catalog.date_part('epoch',
      pg_catalog.clock_timestamp())) + $3 END,
history=CASE
  WHEN (cbstore.breakers.state = 'open') THEN pg_catalog.substr(pg_catalog.concat(pg_catalog.floor(coalesce($2,
          pg_catalog.date_part('epoch',
            pg_catalog.clock_timestamp())) * 1000),
      'Qoh',
      $4,
      ';',
      cbstore.breakers.history),
    1,
    256)
  ELSE cbstore.breakers.history END
WHERE cbstore.breakers.namespace = $5
AND cbstore.breakers.name = $6
AND (cbstore.breakers.state = 'half_open'
  AND cbstore.breakers.probe_token = $1
  AND cbstore.breakers.probe_until > coalesce($2,
    pg_catalog.date_part('epoch',
      pg_catalog.clock_timestamp()))
  OR (cbstore.breakers.override != 'open'
    OR cbstore.breakers.override_until > 0.0
    AND cbstore.breakers.override_until <= coalesce($2,
      pg_catalog.date_part('epoch',
        pg_catalog.clock_timestamp())))
  AND (cbstore.breakers.hold_until <= coalesce($2,
      pg_catalog.date_part('epoch',
        pg_catalog.clock_timestamp()))
    OR cbstore.breakers.override = 'closed'
    AND (cbstore.breakers.override_until = 0.0
      OR cbstore.breakers.override_until > coalesce($2,
        pg_catalog.date_part('epoch',
          pg_catalog.clock_timestamp()))))
  AND (cbstore.breakers.state = 'open'
    AND cbstore.breakers.open_until <= coalesce($2,
      pg_catalog.date_part('epoch',
        pg_catalog.clock_timestamp()))
    OR cbstore.breakers.state = 'half_open'
    AND cbstore.breakers.probe_until <= coalesce($2,
      pg_catalog.date_part('epoch',
        pg_catalog.clock_timestamp()))))
RETURNING cbstore.breakers.previous_state,
cbstore.breakers.generation,
cbstore.breakers.failure_count,
cbstore.breakers.success_count,
cbstore.breakers.last_failure_time,
cbstore.breakers.open_until,
cbstore.breakers.open_seconds,
cbstore.breakers.probe_token,
cbstore.breakers.probe_until,
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
