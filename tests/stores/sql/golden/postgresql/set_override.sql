UPDATE cbstore.breakers
SET previous_state=cbstore.breakers.state,
override=$1,
override_until=CASE
  WHEN ($2 > 0.0) THEN coalesce($3,
    pg_catalog.date_part('epoch',
      pg_catalog.clock_timestamp())) + $2
  ELSE 0.0 END,
override_by=$4,
override_reason=$5,
history=pg_catalog.substr(pg_catalog.concat(pg_catalog.floor(coalesce($3,
        pg_catalog.date_part('epoch',
          pg_catalog.clock_timestamp())) * 1000),
    CASE
      WHEN ($1 = 'open') THEN 'X'
      ELSE
      CASE
        WHEN ($1 = 'closed') THEN 'Y'
        ELSE 'Z' END END,
    pg_catalog.substr(cbstore.breakers.state,
      1,
      1),
    pg_catalog.substr(cbstore.breakers.state,
      1,
      1),
    $6,
    ';',
    cbstore.breakers.history),
  1,
  256)
WHERE cbstore.breakers.namespace = $7
AND cbstore.breakers.name = $8
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
coalesce($3,
  pg_catalog.date_part('epoch',
    pg_catalog.clock_timestamp())) AS as_of
