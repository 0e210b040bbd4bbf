SELECT cbstore.breakers.state,
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
coalesce($1,
  pg_catalog.date_part('epoch',
    pg_catalog.clock_timestamp())) AS as_of
FROM (SELECT 1 AS one) AS key
LEFT OUTER JOIN cbstore.breakers ON cbstore.breakers.namespace = $2
AND cbstore.breakers.name = $3
