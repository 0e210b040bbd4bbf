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
  closed_at,
  history)
VALUES ($1,
  $2,
  CASE
    WHEN ($3 = '') THEN 'closed'
    ELSE $3 END,
  'closed',
  (0 + 1),
  CASE
    WHEN ($4 = -1) THEN 0
    ELSE $4 END,
  0,
  CASE
    WHEN ($5 = -1) THEN 0.0
    ELSE $5 END,
  CASE
    WHEN ($6 = -1) THEN 0.0
    ELSE $6 END,
  CASE
    WHEN ($3 = 'closed') THEN 0.0
    ELSE 0.0 END,
  CASE
    WHEN ($7 = -1) THEN ''
    ELSE
    CASE
      WHEN ($7 = 1) THEN $8
      ELSE '' END END,
  CASE
    WHEN ($7 = -1) THEN 0.0
    ELSE
    CASE
      WHEN ($7 = 1) THEN coalesce($9,
        pg_catalog.date_part('epoch',
          pg_catalog.clock_timestamp())) + $10
      ELSE 0.0 END END,
  CASE
    WHEN ($3 = 'closed') THEN 0.0
    ELSE 0.0 END,
  CASE
    WHEN ($3 = ''
      OR $3 = 'closed') THEN ''
    ELSE pg_catalog.substr(pg_catalog.concat(pg_catalog.floor(coalesce($9,
            pg_catalog.date_part('epoch',
              pg_catalog.clock_timestamp())) * 1000),
        'W',
        pg_catalog.substr('closed',
          1,
          1),
        pg_catalog.substr($3,
          1,
          1),
        $11,
        ';',
        ''),
      1,
      256) END)
ON CONFLICT (namespace,
  name) DO UPDATE
SET state =
CASE
  WHEN ($3 = '') THEN cbstore.breakers.state
  ELSE $3 END,
previous_state = cbstore.breakers.state,
generation = (cbstore.breakers.generation + 1),
failure_count =
CASE
  WHEN ($4 = -1) THEN cbstore.breakers.failure_count
  ELSE $4 END,
success_count = 0,
last_failure_time =
CASE
  WHEN ($5 = -1) THEN cbstore.breakers.last_failure_time
  ELSE $5 END,
open_until =
CASE
  WHEN ($6 = -1) THEN cbstore.breakers.open_until
  ELSE $6 END,
open_seconds =
CASE
  WHEN ($3 = 'closed') THEN 0.0
  ELSE cbstore.breakers.open_seconds END,
probe_token =
CASE
  WHEN ($7 = -1) THEN cbstore.breakers.probe_token
  ELSE
  CASE
    WHEN ($7 = 1) THEN $8
    ELSE '' END END,
probe_until =
CASE
  WHEN ($7 = -1) THEN cbstore.breakers.probe_until
  ELSE
  CASE
    WHEN ($7 = 1) THEN coalesce($9,
      pg_catalog.date_part('epoch',
        pg_catalog.clock_timestamp())) + $10
    ELSE 0.0 END END,
closed_at =
CASE
  WHEN ($3 = 'closed') THEN 0.0
  ELSE cbstore.breakers.closed_at END,
history =
CASE
  WHEN ($3 = ''
    OR $3 = cbstore.breakers.state) THEN cbstore.breakers.history
  ELSE pg_catalog.substr(pg_catalog.concat(pg_catalog.floor(coalesce($9,
          pg_catalog.date_part('epoch',
            pg_catalog.clock_timestamp())) * 1000),
      'W',
      pg_catalog.substr(cbstore.breakers.state,
        1,
        1),
      pg_catalog.substr($3,
        1,
        1),
      $11,
      ';',
      cbstore.breakers.history),
    1,
    256) END
WHERE $12 = ''
OR cbstore.breakers.state = $12
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
