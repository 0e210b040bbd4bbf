INSERT INTO breakers (namespace,
  name,
  previous_state,
  override,
  override_until,
  override_by,
  override_reason,
  history)
VALUES (:namespace,
  :name,
  'closed',
  :mode,
  CASE
    WHEN (:seconds > 0.0) THEN coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :seconds
    ELSE 0.0 END,
  :by,
  :reason,
  substr(CAST(coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) * 1000 AS INTEGER) ||
    CASE
      WHEN (:mode = 'open') THEN 'X'
      ELSE
      CASE
        WHEN (:mode = 'closed') THEN 'Y'
        ELSE 'Z' END END || substr('closed',
      1,
      1) || substr('closed',
      1,
      1) || :label || ';' || '',
    1,
    256))
ON CONFLICT (namespace,
  name) DO UPDATE
SET previous_state = breakers.state,
override = :mode,
override_until =
CASE
  WHEN (:seconds > 0.0) THEN coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :seconds
  ELSE 0.0 END,
override_by = :by,
override_reason = :reason,
history = substr(CAST(coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) * 1000 AS INTEGER) ||
  CASE
    WHEN (:mode = 'open') THEN 'X'
    ELSE
    CASE
      WHEN (:mode = 'closed') THEN 'Y'
      ELSE 'Z' END END || substr(breakers.state,
    1,
    1) || substr(breakers.state,
    1,
    1) || :label || ';' || breakers.history,
  1,
  256)
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
