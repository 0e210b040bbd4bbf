INSERT INTO breakers (namespace,
  name,
  state,
  previous_state,
  generation,
  success_count,
  last_failure_time,
  open_until,
  probe_token,
  probe_until,
  history)
VALUES (:namespace,
  :name,
  'open',
  'closed',
  (0 + 1),
  0,
  CASE
    WHEN (0.0 > coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0))) THEN 0.0
    ELSE coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) END,
  CASE
    WHEN (0.0 > coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :seconds) THEN 0.0
    ELSE coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :seconds END,
  '',
  0.0,
  CASE
    WHEN ('closed' = 'open') THEN ''
    ELSE substr(CAST(coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) * 1000 AS INTEGER) || 'F' || substr('closed',
        1,
        1) || 'o' || :label || ';' || '',
      1,
      256) END)
ON CONFLICT (namespace,
  name) DO UPDATE
SET state = 'open',
previous_state = breakers.state,
generation = (breakers.generation + 1),
success_count = 0,
last_failure_time =
CASE
  WHEN (breakers.last_failure_time > coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0))) THEN breakers.last_failure_time
  ELSE coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) END,
open_until =
CASE
  WHEN (breakers.open_until > coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :seconds) THEN breakers.open_until
  ELSE coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :seconds END,
probe_token = '',
probe_until = 0.0,
history =
CASE
  WHEN (breakers.state = 'open') THEN breakers.history
  ELSE substr(CAST(coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) * 1000 AS INTEGER) || 'F' || substr(breakers.state,
      1,
      1) || 'o' || :label || ';' || breakers.history,
    1,
    256) END
RETURNING state,
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
closed_at,
hold_until,
override,
override_until,
override_by,
override_reason,
coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) AS as_of
