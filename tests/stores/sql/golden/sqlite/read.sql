SELECT breakers.state,
breakers.previous_state,
breakers.generation,
breakers.failure_count,
breakers.success_count,
breakers.last_failure_time,
breakers.open_until,
breakers.open_seconds,
breakers.probe_token,
breakers.probe_until,
breakers.score,
breakers.score_generation,
breakers.closed_at,
breakers.hold_until,
breakers.override,
breakers.override_until,
breakers.override_by,
breakers.override_reason,
coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) AS as_of
FROM (SELECT 1 AS one) AS "key"
LEFT OUTER JOIN breakers ON breakers.namespace = :namespace
AND breakers.name = :name
