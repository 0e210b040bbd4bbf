UPDATE breakers
SET state=CASE
  WHEN (:state = '') THEN breakers.state
  ELSE :state END,
previous_state=breakers.state,
generation=(breakers.generation + 1),
failure_count=CASE
  WHEN (:failure_count = -1) THEN breakers.failure_count
  ELSE :failure_count END,
success_count=0,
last_failure_time=CASE
  WHEN (:last_failure_time = -1) THEN breakers.last_failure_time
  ELSE :last_failure_time END,
open_until=CASE
  WHEN (:open_until = -1) THEN breakers.open_until
  ELSE :open_until END,
open_seconds=CASE
  WHEN (:state = 'closed') THEN 0.0
  ELSE breakers.open_seconds END,
probe_token=CASE
  WHEN (:probe = -1) THEN breakers.probe_token
  ELSE
  CASE
    WHEN (:probe = 1) THEN :token
    ELSE '' END END,
probe_until=CASE
  WHEN (:probe = -1) THEN breakers.probe_until
  ELSE
  CASE
    WHEN (:probe = 1) THEN coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :lease
    ELSE 0.0 END END,
closed_at=CASE
  WHEN (:state = 'closed') THEN 0.0
  ELSE breakers.closed_at END,
history=CASE
  WHEN (:state = ''
    OR :state = breakers.state) THEN breakers.history
  ELSE substr(CAST(coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) * 1000 AS INTEGER) || 'W' || substr(breakers.state,
      1,
      1) || substr(:state,
      1,
      1) || :label || ';' || breakers.history,
    1,
    256) END
WHERE breakers.namespace = :namespace
AND breakers.name = :name
AND (:expected = ''
  OR breakers.state = :expected)
RETURNING state,
previous_state,
generation,
failure_count,
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
