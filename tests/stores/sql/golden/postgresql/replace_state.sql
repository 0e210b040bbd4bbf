UPDATE cbstore.breakers
SET state=CASE
  WHEN ($1 = '') THEN cbstore.breakers.state
  ELSE $1 END,
previous_state=cbstore.breakers.state,
generation=(cbstore.breakers.generation + 1),
failure_count=CASE
  WHEN ($2 = -1) THEN cbstore.breakers.failure_count
  ELSE $2 END,
success_count=0,
last_failure_time=CASE
  WHEN ($3 = -1) THEN cbstore.breakers.last_failure_time
  ELSE $3 END,
open_until=CASE
  WHEN ($4 = -1) THEN cbstore.breakers.open_until
  ELSE $4 END,
open_seconds=CASE
  WHEN ($1 = 'closed') THEN 0.0
  ELSE cbstore.breakers.open_seconds END,
probe_token=CASE
  WHEN ($5 = -1) THEN cbstore.breakers.probe_token
  ELSE
  CASE
    WHEN ($5 = 1) THEN $6
    ELSE '' END END,
probe_until=CASE
  WHEN ($5 = -1) THEN cbstore.breakers.probe_until
  ELSE
  CASE
    WHEN ($5 = 1) THEN coalesce($7,
      pg_catalog.date_part('epoch',
        pg_catalog.clock_timestamp())) + $8
    ELSE 0.0 END END,
closed_at=CASE
  WHEN ($1 = 'closed') THEN 0.0
  ELSE cbstore.breakers.closed_at END,
history=CASE
  WHEN ($1 = ''
    OR $1 = cbstore.breakers.state) THEN cbstore.breakers.history
  ELSE pg_catalog.substr(pg_catalog.concat(pg_catalog.floor(coalesce($7,
          pg_catalog.date_part('epoch',
            pg_catalog.clock_timestamp())) * 1000),
      'W',
      pg_catalog.substr(cbstore.breakers.state,
        1,
        1),
      pg_catalog.substr($1,
        1,
        1),
      $9,
      ';',
      cbstore.breakers.history),
    1,
    256) END
WHERE cbstore.breakers.namespace = $10
AND cbstore.breakers.name = $11
AND ($12 = ''
  OR cbstore.breakers.state = $12)
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
cbstore.breakers.override_reason,
coalesce($7,
  pg_catalog.date_part('epoch',
    pg_catalog.clock_timestamp())) AS as_of
