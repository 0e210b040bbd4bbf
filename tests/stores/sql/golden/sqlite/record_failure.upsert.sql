INSERT INTO breakers (namespace,
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
  probe_until)
VALUES (:namespace,
  :name,
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + :failures >= :failure_threshold) THEN 'open'
    ELSE 'closed' END,
  'closed',
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + :failures >= :failure_threshold) THEN 0 + 1
    ELSE 0 END,
  (0 + :failures),
  0,
  coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)),
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + :failures >= :failure_threshold) THEN coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) +
    CASE
      WHEN (0.0 > 0.0
        AND :backoff_multiplier > 1.0) THEN
      CASE
        WHEN (0.0 * :backoff_multiplier < :recovery_timeout_cap) THEN 0.0 * :backoff_multiplier
        ELSE :recovery_timeout_cap END
      ELSE :recovery_timeout END * :stretch
    ELSE
    CASE
      WHEN ('closed' = 'open') THEN
      CASE
        WHEN (0.0 > coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :recovery_timeout) THEN 0.0
        ELSE coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :recovery_timeout END
      ELSE 0.0 END END,
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + :failures >= :failure_threshold) THEN
    CASE
      WHEN (0.0 > 0.0
        AND :backoff_multiplier > 1.0) THEN
      CASE
        WHEN (0.0 * :backoff_multiplier < :recovery_timeout_cap) THEN 0.0 * :backoff_multiplier
        ELSE :recovery_timeout_cap END
      ELSE :recovery_timeout END
    ELSE 0.0 END,
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + :failures >= :failure_threshold) THEN ''
    ELSE '' END,
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + :failures >= :failure_threshold) THEN 0.0
    ELSE 0.0 END)
ON CONFLICT (namespace,
  name) DO UPDATE
SET state =
CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.failure_count + :failures >= :failure_threshold) THEN 'open'
  ELSE breakers.state END,
previous_state = breakers.state,
generation =
CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.failure_count + :failures >= :failure_threshold) THEN breakers.generation + 1
  ELSE breakers.generation END,
failure_count = (breakers.failure_count + :failures),
success_count = 0,
last_failure_time = coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)),
open_until =
CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.failure_count + :failures >= :failure_threshold) THEN coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) +
  CASE
    WHEN (breakers.open_seconds > 0.0
      AND :backoff_multiplier > 1.0) THEN
    CASE
      WHEN (breakers.open_seconds * :backoff_multiplier < :recovery_timeout_cap) THEN breakers.open_seconds * :backoff_multiplier
      ELSE :recovery_timeout_cap END
    ELSE :recovery_timeout END * :stretch
  ELSE
  CASE
    WHEN (breakers.state = 'open') THEN
    CASE
      WHEN (breakers.open_until > coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :recovery_timeout) THEN breakers.open_until
      ELSE coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) + :recovery_timeout END
    ELSE breakers.open_until END END,
open_seconds =
CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.failure_count + :failures >= :failure_threshold) THEN
  CASE
    WHEN (breakers.open_seconds > 0.0
      AND :backoff_multiplier > 1.0) THEN
    CASE
      WHEN (breakers.open_seconds * :backoff_multiplier < :recovery_timeout_cap) THEN breakers.open_seconds * :backoff_multiplier
      ELSE :recovery_timeout_cap END
    ELSE :recovery_timeout END
  ELSE breakers.open_seconds END,
probe_token =
CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.failure_count + :failures >= :failure_threshold) THEN ''
  ELSE breakers.probe_token END,
probe_until =
CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND breakers.failure_count + :failures >= :failure_threshold) THEN 0.0
  ELSE breakers.probe_until END
WHERE :generation = -1
OR breakers.generation = :generation
AND breakers.probe_token = :token
AND (breakers.state = 'closed'
  OR :token != '')
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
coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) AS as_of
