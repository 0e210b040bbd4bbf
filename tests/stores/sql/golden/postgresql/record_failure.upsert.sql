INSERT INTO cbstore.breakers (namespace,
  name,
  state,
  previous_state,
  generation,
  failure_count,
  success_count,
  last_failure_time,
  open_until,
  open_seconds,
  probe_token,
  probe_until,
  score,
  score_generation,
  history)
VALUES ($1,
  $2,
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND ($3 = 'count'
        AND
        CASE
          WHEN ($4 = 0) THEN 0 + $5
          ELSE $5 END >= $6
        OR $3 = 'score'
        AND ($7 = 1
          OR 0 = 0
          AND 0.0 >= $8))) THEN 'open'
    ELSE 'closed' END,
  'closed',
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND ($3 = 'count'
        AND
        CASE
          WHEN ($4 = 0) THEN 0 + $5
          ELSE $5 END >= $6
        OR $3 = 'score'
        AND ($7 = 1
          OR 0 = 0
          AND 0.0 >= $8))) THEN 0 + 1
    ELSE 0 END,
  CASE
    WHEN ($4 = 0) THEN 0 + $5
    ELSE $5 END,
  0,
  coalesce($9,
    pg_catalog.date_part('epoch',
      pg_catalog.clock_timestamp())),
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND ($3 = 'count'
        AND
        CASE
          WHEN ($4 = 0) THEN 0 + $5
          ELSE $5 END >= $6
        OR $3 = 'score'
        AND ($7 = 1
          OR 0 = 0
          AND 0.0 >= $8))) THEN coalesce($9,
      pg_catalog.date_part('epoch',
        pg_catalog.clock_timestamp())) +
    CASE
      WHEN (0.0 > 0.0
        AND $10 > 1.0) THEN
      CASE
        WHEN (0.0 * $10 < $11) THEN 0.0 * $10
        ELSE $11 END
      ELSE $12 END * $13
    ELSE
    CASE
      WHEN ('closed' = 'open') THEN
      CASE
        WHEN (0.0 > coalesce($9,
            pg_catalog.date_part('epoch',
              pg_catalog.clock_timestamp())) + $12) THEN 0.0
        ELSE coalesce($9,
          pg_catalog.date_part('epoch',
            pg_catalog.clock_timestamp())) + $12 END
      ELSE 0.0 END END,
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND ($3 = 'count'
        AND
        CASE
          WHEN ($4 = 0) THEN 0 + $5
          ELSE $5 END >= $6
        OR $3 = 'score'
        AND ($7 = 1
          OR 0 = 0
          AND 0.0 >= $8))) THEN
    CASE
      WHEN (0.0 > 0.0
        AND $10 > 1.0) THEN
      CASE
        WHEN (0.0 * $10 < $11) THEN 0.0 * $10
        ELSE $11 END
      ELSE $12 END
    ELSE 0.0 END,
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND ($3 = 'count'
        AND
        CASE
          WHEN ($4 = 0) THEN 0 + $5
          ELSE $5 END >= $6
        OR $3 = 'score'
        AND ($7 = 1
          OR 0 = 0
          AND 0.0 >= $8))) THEN ''
    ELSE '' END,
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND ($3 = 'count'
        AND
        CASE
          WHEN ($4 = 0) THEN 0 + $5
          ELSE $5 END >= $6
        OR $3 = 'score'
        AND ($7 = 1
          OR 0 = 0
          AND 0.0 >= $8))) THEN 0.0
    ELSE 0.0 END,
  CASE
    WHEN ($3 = 'score'
      AND 'closed' = 'closed') THEN
    CASE
      WHEN (0 = 0
        AND 0.0 > $14) THEN 0.0 - $14
      ELSE 0.0 END + $15
    ELSE 0.0 END,
  CASE
    WHEN ($3 = 'score'
      AND 'closed' = 'closed') THEN 0
    ELSE 0 END,
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND ($3 = 'count'
        AND
        CASE
          WHEN ($4 = 0) THEN 0 + $5
          ELSE $5 END >= $6
        OR $3 = 'score'
        AND ($7 = 1
          OR 0 = 0
          AND 0.0 >= $8))) THEN pg_catalog.substr(pg_catalog.concat(pg_catalog.floor(coalesce($9,
            pg_catalog.date_part('epoch',
              pg_catalog.clock_timestamp())) * 1000),
        CASE
          WHEN ('closed' = 'half_open') THEN 'P'
          ELSE
          CASE
            WHEN ($3 = 'score') THEN 'S'
            ELSE 'N' END END,
        pg_catalog.substr('closed',
          1,
          1),
        'o',
        $16,
        ';',
        ''),
      1,
      256)
    ELSE '' END)
ON CONFLICT (namespace,
  name) DO UPDATE
SET state =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND ($3 = 'count'
      AND
      CASE
        WHEN ($4 = 0) THEN cbstore.breakers.failure_count + $5
        ELSE $5 END >= $6
      OR $3 = 'score'
      AND ($7 = 1
        OR cbstore.breakers.score_generation = cbstore.breakers.generation
        AND cbstore.breakers.score >= $8))) THEN 'open'
  ELSE cbstore.breakers.state END,
previous_state = cbstore.breakers.state,
generation =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND ($3 = 'count'
      AND
      CASE
        WHEN ($4 = 0) THEN cbstore.breakers.failure_count + $5
        ELSE $5 END >= $6
      OR $3 = 'score'
      AND ($7 = 1
        OR cbstore.breakers.score_generation = cbstore.breakers.generation
        AND cbstore.breakers.score >= $8))) THEN cbstore.breakers.generation + 1
  ELSE cbstore.breakers.generation END,
failure_count =
CASE
  WHEN ($4 = 0) THEN cbstore.breakers.failure_count + $5
  ELSE $5 END,
success_count = 0,
last_failure_time = coalesce($9,
  pg_catalog.date_part('epoch',
    pg_catalog.clock_timestamp())),
open_until =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND ($3 = 'count'
      AND
      CASE
        WHEN ($4 = 0) THEN cbstore.breakers.failure_count + $5
        ELSE $5 END >= $6
      OR $3 = 'score'
      AND ($7 = 1
        OR cbstore.breakers.score_generation = cbstore.breakers.generation
        AND cbstore.breakers.score >= $8))) THEN coalesce($9,
    pg_catalog.date_part('epoch',
      pg_catalog.clock_timestamp())) +
  CASE
    WHEN (cbstore.breakers.open_seconds > 0.0
      AND $10 > 1.0) THEN
    CASE
      WHEN (cbstore.breakers.open_seconds * $10 < $11) THEN cbstore.breakers.open_seconds * $10
      ELSE $11 END
    ELSE $12 END * $13
  ELSE
  CASE
    WHEN (cbstore.breakers.state = 'open') THEN
    CASE
      WHEN (cbstore.breakers.open_until > coalesce($9,
          pg_catalog.date_part('epoch',
            pg_catalog.clock_timestamp())) + $12) THEN cbstore.breakers.open_until
      ELSE coalesce($9,
        pg_catalog.date_part('epoch',
          pg_catalog.clock_timestamp())) + $12 END
    ELSE cbstore.breakers.open_until END END,
open_seconds =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND ($3 = 'count'
      AND
      CASE
        WHEN ($4 = 0) THEN cbstore.breakers.failure_count + $5
        ELSE $5 END >= $6
      OR $3 = 'score'
      AND ($7 = 1
        OR cbstore.breakers.score_generation = cbstore.breakers.generation
        AND cbstore.breakers.score >= $8))) THEN
  CASE
    WHEN (cbstore.breakers.open_seconds > 0.0
      AND $10 > 1.0) THEN
    CASE
      WHEN (cbstore.breakers.open_seconds * $10 < $11) THEN cbstore.breakers.open_seconds * $10
      ELSE $11 END
    ELSE $12 END
  ELSE cbstore.breakers.open_seconds END,
probe_token =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND ($3 = 'count'
      AND
      CASE
        WHEN ($4 = 0) THEN cbstore.breakers.failure_count + $5
        ELSE $5 END >= $6
      OR $3 = 'score'
      AND ($7 = 1
        OR cbstore.breakers.score_generation = cbstore.breakers.generation
        AND cbstore.breakers.score >= $8))) THEN ''
  ELSE cbstore.breakers.probe_token END,
probe_until =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND ($3 = 'count'
      AND
      CASE
        WHEN ($4 = 0) THEN cbstore.breakers.failure_count + $5
        ELSE $5 END >= $6
      OR $3 = 'score'
      AND ($7 = 1
        OR cbstore.breakers.score_generation = cbstore.breakers.generation
        AND cbstore.breakers.score >= $8))) THEN 0.0
  ELSE cbstore.breakers.probe_until END,
score =
CASE
  WHEN ($3 = 'score'
    AND cbstore.breakers.state = 'closed') THEN
  CASE
    WHEN (cbstore.breakers.score_generation = cbstore.breakers.generation
      AND cbstore.breakers.score > $14) THEN cbstore.breakers.score - $14
    ELSE 0.0 END + $15
  ELSE cbstore.breakers.score END,
score_generation =
CASE
  WHEN ($3 = 'score'
    AND cbstore.breakers.state = 'closed') THEN cbstore.breakers.generation
  ELSE cbstore.breakers.score_generation END,
history =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND ($3 = 'count'
      AND
      CASE
        WHEN ($4 = 0) THEN cbstore.breakers.failure_count + $5
        ELSE $5 END >= $6
      OR $3 = 'score'
      AND ($7 = 1
        OR cbstore.breakers.score_generation = cbstore.breakers.generation
        AND cbstore.breakers.score >= $8))) THEN pg_catalog.substr(pg_catalog.concat(pg_catalog.floor(coalesce($9,
          pg_catalog.date_part('epoch',
            pg_catalog.clock_timestamp())) * 1000),
      CASE
        WHEN (cbstore.breakers.state = 'half_open') THEN 'P'
        ELSE
        CASE
          WHEN ($3 = 'score') THEN 'S'
          ELSE 'N' END END,
      pg_catalog.substr(cbstore.breakers.state,
        1,
        1),
      'o',
      $16,
      ';',
      cbstore.breakers.history),
    1,
    256)
  ELSE cbstore.breakers.history END
WHERE $17 = -1
OR cbstore.breakers.generation = $17
AND cbstore.breakers.probe_token = $18
AND (cbstore.breakers.state = 'closed'
  OR $18 != '')
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
cbstore.breakers.score,
cbstore.breakers.score_generation,
cbstore.breakers.closed_at,
cbstore.breakers.hold_until,
cbstore.breakers.override,
cbstore.breakers.override_until,
cbstore.breakers.override_by,
cbstore.breakers.override_reason,
coalesce($9,
  pg_catalog.date_part('epoch',
    pg_catalog.clock_timestamp())) AS as_of
