SELECT cbstore.breakers.namespace,
cbstore.breakers.name,
cbstore.breakers.state,
cbstore.breakers.previous_state,
cbstore.breakers.generation,
cbstore.breakers.failure_count,
cbstore.breakers.success_count,
cbstore.breakers.last_failure_time,
cbstore.breakers.open_until,
cbstore.breakers.open_seconds,
cbstore.breakers.probe_token,
cbstore.breakers.probe_until,
coalesce($1,
  date_part('epoch',
    clock_timestamp())) AS as_of 
FROM cbstore.breakers
ORDER BY cbstore.breakers.namespace,
cbstore.breakers.name
