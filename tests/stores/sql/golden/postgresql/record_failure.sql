UPDATE cbstore.breakers
SET state=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND ($1 = 'count'
      AND
      CASE
        WHEN ($2 = 0) THEN cbstore.breakers.failure_count + $3
        ELSE $3 END >= $4
      OR $1 = 'score'
      AND ($5 = 1
        OR cbstore.breakers.score_generation = cbstore.breakers.generation
        AND cbstore.breakers.score >= $6))) THEN 'open'
  ELSE cbstore.breakers.state END,
previous_state=cbstore.breakers.state,
generation=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND ($1 = 'count'
      AND
      CASE
        WHEN ($2 = 0) THEN cbstore.breakers.failure_count + $3
        ELSE $3 END >= $4
      OR $1 = 'score'
      AND ($5 = 1
        OR cbstore.breakers.score_generation = cbstore.breakers.generation
        AND cbstore.breakers.score >= $6))) THEN cbstore.breakers.generation + 1
  ELSE cbstore.breakers.generation END,
failure_count=CASE
  WHEN ($2 = 0) THEN cbstore.breakers.failure_count + $3
  ELSE $3 END,
success_count=0,
last_failure_time=coalesce($7,
  pg_catalog.date_part('epoch',
    pg_catalog.clock_timestamp())),
open_until=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND ($1 = 'count'
      AND
      CASE
        WHEN ($2 = 0) THEN cbstore.breakers.failure_count + $3
        ELSE $3 END >= $4
      OR $1 = 'score'
      AND ($5 = 1
        OR cbstore.breakers.score_generation = cbstore.breakers.generation
        AND cbstore.breakers.score >= $6))) THEN coalesce($7,
    pg_catalog.date_part('epoch',
      pg_catalog.clock_timestamp())) +
  CASE
    WHEN (cbstore.breakers.open_seconds > 0.0
      AND $8 > 1.0) THEN
    CASE
      WHEN (cbstore.breakers.open_seconds * $8 < $9) THEN cbstore.breakers.open_seconds * $8
      ELSE $9 END
    ELSE $10 END * $11
  ELSE
  CASE
    WHEN (cbstore.breakers.state = 'open') THEN
    CASE
      WHEN (cbstore.breakers.open_until > coalesce($7,
          pg_catalog.date_part('epoch',
            pg_catalog.clock_timestamp())) + $10) THEN cbstore.breakers.open_until
      ELSE coalesce($7,
        pg_catalog.date_part('epoch',
          pg_catalog.clock_timestamp())) + $10 END
    ELSE cbstore.breakers.open_until END END,
open_seconds=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND ($1 = 'count'
      AND
      CASE
        WHEN ($2 = 0) THEN cbstore.breakers.failure_count + $3
        ELSE $3 END >= $4
      OR $1 = 'score'
      AND ($5 = 1
        OR cbstore.breakers.score_generation = cbstore.breakers.generation
        AND cbstore.breakers.score >= $6))) THEN
  CASE
    WHEN (cbstore.breakers.open_seconds > 0.0
      AND $8 > 1.0) THEN
    CASE
      WHEN (cbstore.breakers.open_seconds * $8 < $9) THEN cbstore.breakers.open_seconds * $8
      ELSE $9 END
    ELSE $10 END
  ELSE cbstore.breakers.open_seconds END,
probe_token=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND ($1 = 'count'
      AND
      CASE
        WHEN ($2 = 0) THEN cbstore.breakers.failure_count + $3
        ELSE $3 END >= $4
      OR $1 = 'score'
      AND ($5 = 1
        OR cbstore.breakers.score_generation = cbstore.breakers.generation
        AND cbstore.breakers.score >= $6))) THEN ''
  ELSE cbstore.breakers.probe_token END,
probe_until=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND ($1 = 'count'
      AND
      CASE
        WHEN ($2 = 0) THEN cbstore.breakers.failure_count + $3
        ELSE $3 END >= $4
      OR $1 = 'score'
      AND ($5 = 1
        OR cbstore.breakers.score_generation = cbstore.breakers.generation
        AND cbstore.breakers.score >= $6))) THEN 0.0
  ELSE cbstore.breakers.probe_until END,
score=CASE
  WHEN ($1 = 'score'
    AND cbstore.breakers.state = 'closed') THEN
  CASE
    WHEN (cbstore.breakers.score_generation = cbstore.breakers.generation
      AND cbstore.breakers.score > $12) THEN cbstore.breakers.score - $12
    ELSE 0.0 END + $13
  ELSE cbstore.breakers.score END,
score_generation=CASE
  WHEN ($1 = 'score'
    AND cbstore.breakers.state = 'closed') THEN cbstore.breakers.generation
  ELSE cbstore.breakers.score_generation END,
history=CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND ($1 = 'count'
      AND
      CASE
        WHEN ($2 = 0) THEN cbstore.breakers.failure_count + $3
        ELSE $3 END >= $4
      OR $1 = 'score'
      AND ($5 = 1
        OR cbstore.breakers.score_generation = cbstore.breakers.generation
        AND cbstore.breakers.score >= $6))) THEN pg_catalog.substr(pg_catalog.concat(pg_catalog.floor(coalesce($7,
          pg_catalog.date_part('epoch',
            pg_catalog.clock_timestamp())) * 1000),
      CASE
        WHEN (cbstore.breakers.state = 'half_open') THEN 'P'
        ELSE
        CASE
          WHEN ($1 = 'score') THEN 'S'
          ELSE 'N' END END,
      pg_catalog.substr(cbstore.breakers.state,
        1,
        1),
      'o',
      $14,
      ';',
      cbstore.breakers.history),
    1,
    256)
  ELSE cbstore.breakers.history END
WHERE cbstore.breakers.namespace = $15
AND cbstore.breakers.name = $16
AND ($17 = -1
  OR cbstore.breakers.generation = $17
  AND cbstore.breakers.probe_token = $18
  AND (cbstore.breakers.state = 'closed'
    OR $18 != ''))
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
