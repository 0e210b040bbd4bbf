INSERT INTO cbstore.breakers (namespace,
  name,
  previous_state,
  override,
  override_until,
  override_by,
  override_reason,
  history)
VALUES ($1,
  $2,
  'closed',
  $3,
  CASE
    WHEN ($4 > 0.0) THEN coalesce($5,
      pg_catalog.date_part('epoch',
        pg_catalog.clock_timestamp())) + $4
    ELSE 0.0 END,
  $6,
  $7,
  pg_catalog.substr(pg_catalog.concat(pg_catalog.floor(coalesce($5,
          pg_catalog.date_part('epoch',
            pg_catalog.clock_timestamp())) * 1000),
      CASE
        WHEN ($3 = 'open') THEN 'X'
        ELSE
        CASE
          WHEN ($3 = 'closed') THEN 'Y'
          ELSE 'Z' END END,
      pg_catalog.substr('closed',
        1,
        1),
      pg_catalog.substr('closed',
        1,
        1),
      $8,
      ';',
      ''),
    1,
    256))
ON CONFLICT (namespace,
  name) DO UPDATE
SET previous_state = cbstore.breakers.state,
override = $3,
override_until =
CASE
  WHEN ($4 > 0.0) THEN coalesce($5,
    pg_catalog.date_part('epoch',
      pg_catalog.clock_timestamp())) + $4
  ELSE 0.0 END,
override_by = $6,
override_reason = $7,
history = pg_catalog.substr(pg_catalog.concat(pg_catalog.floor(coalesce($5,
        pg_catalog.date_part('epoch',
          pg_catalog.clock_timestamp())) * 1000),
    CASE
      WHEN ($3 = 'open') THEN 'X'
      ELSE
      CASE
        WHEN ($3 = 'closed') THEN 'Y'
        ELSE 'Z' END END,
    pg_catalog.substr(cbstore.breakers.state,
      1,
      1),
    pg_catalog.substr(cbstore.breakers.state,
      1,
      1),
    $8,
    ';',
    cbstore.breakers.history),
  1,
  256)
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
coalesce($5,
  pg_catalog.date_part('epoch',
    pg_catalog.clock_timestamp())) AS as_of
