UPDATE cbstore.breakers
SET state=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.score_generation = cbstore.breakers.generation
    AND cbstore.breakers.score >= $1) THEN 'open'
  ELSE cbstore.breakers.state END,
previous_state=cbstore.breakers.state,
generation=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.score_generation = cbstore.breakers.generation
    AND cbstore.breakers.score >= $1) THEN cbstore.breakers.generation + 1
  ELSE cbstore.breakers.generation END,
failure_count=$2,
success_count=0,
last_failure_time=coalesce($3,
  pg_catalog.date_part('epoch',
    pg_catalog.clock_timestamp())),
open_until=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.score_generation = cbstore.breakers.generation
    AND cbstore.breakers.score >= $1) THEN coalesce($3,
    pg_catalog.date_part('epoch',
      pg_catalog.clock_timestamp())) + $4 * $5
  ELSE
  CASE
    WHEN (cbstore.breakers.state = 'open') THEN
    CASE
      WHEN (cbstore.breakers.open_until > coalesce($3,
          pg_catalog.date_part('epoch',
            pg_catalog.clock_timestamp())) + $4) THEN cbstore.breakers.open_until
      ELSE coalesce($3,
        pg_catalog.date_part('epoch',
          pg_catalog.clock_timestamp())) + $4 END
    ELSE cbstore.breakers.open_until END END,
open_seconds=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.score_generation = cbstore.breakers.generation
    AND cbstore.breakers.score >= $1) THEN $4
  ELSE cbstore.breakers.open_seconds END,
probe_token=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.score_generation = cbstore.breakers.generation
    AND cbstore.breakers.score >= $1) THEN ''
  ELSE cbstore.breakers.probe_token END,
probe_until=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.score_generation = cbstore.breakers.generation
    AND cbstore.breakers.score >= $1) THEN 0.0
  ELSE cbstore.breakers.probe_until END,
score=CASE
  WHEN (cbstore.breakers.state = 'closed') THEN
  CASE
    WHEN (cbstore.breakers.score_generation = cbstore.breakers.generation
      AND cbstore.breakers.score > $6) THEN cbstore.breakers.score - $6
    ELSE 0.0 END + $7
  ELSE cbstore.breakers.score END,
score_generation=CASE
  WHEN (cbstore.breakers.state = 'closed') THEN cbstore.breakers.generation
  ELSE cbstore.breakers.score_generation END,
history=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.score_generation = cbstore.breakers.generation
    AND cbstore.breakers.score >= $1) THEN pg_catalog.substr(pg_catalog.concat(pg_catalog.floor(coalesce($3,
          pg_catalog.date_part('epoch',
            pg_catalog.clock_timestamp())) * 1000),
      CASE
        WHEN (cbstore.breakers.state = 'half_open') THEN 'P'
        ELSE 'S' END,
      pg_catalog.substr(cbstore.breakers.state,
        1,
        1),
      'o',
      $8,
      ';',
      cbstore.breakers.history),
    1,
    256)
  ELSE cbstore.breakers.history END
WHERE cbstore.breakers.namespace = $9
AND cbstore.breakers.name = $10
RETURNING cbstore.breakers.state,
cbstore.breakers.previous_state,
cbstore.breakers.generation,
cbstore.breakers.failure_count,
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
cbstore.breakers.override_reason
