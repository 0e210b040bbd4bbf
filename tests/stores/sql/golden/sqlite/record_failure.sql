UPDATE breakers
SET state=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND (:test = 'count'
      AND
      CASE
        WHEN (:successes = 0) THEN breakers.failure_count + :failures
        ELSE :failures END >= :failure_threshold
      OR :test = 'score'
      AND (:trips_alone = 1
        OR breakers.score_generation = breakers.generation
        AND breakers.score >= :enough))) THEN 'open'
  ELSE breakers.state END,
previous_state=breakers.state,
generation=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND (:test = 'count'
      AND
      CASE
        WHEN (:successes = 0) THEN breakers.failure_count + :failures
        ELSE :failures END >= :failure_threshold
      OR :test = 'score'
      AND (:trips_alone = 1
        OR breakers.score_generation = breakers.generation
        AND breakers.score >= :enough))) THEN breakers.generation + 1
  ELSE breakers.generation END,
failure_count=CASE
  WHEN (:successes = 0) THEN breakers.failure_count + :failures
  ELSE :failures END,
success_count=0,
last_failure_time=coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)),
open_until=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND (:test = 'count'
      AND
      CASE
        WHEN (:successes = 0) THEN breakers.failure_count + :failures
        ELSE :failures END >= :failure_threshold
      OR :test = 'score'
      AND (:trips_alone = 1
        OR breakers.score_generation = breakers.generation
        AND breakers.score >= :enough))) THEN coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) +
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
open_seconds=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND (:test = 'count'
      AND
      CASE
        WHEN (:successes = 0) THEN breakers.failure_count + :failures
        ELSE :failures END >= :failure_threshold
      OR :test = 'score'
      AND (:trips_alone = 1
        OR breakers.score_generation = breakers.generation
        AND breakers.score >= :enough))) THEN
  CASE
    WHEN (breakers.open_seconds > 0.0
      AND :backoff_multiplier > 1.0) THEN
    CASE
      WHEN (breakers.open_seconds * :backoff_multiplier < :recovery_timeout_cap) THEN breakers.open_seconds * :backoff_multiplier
      ELSE :recovery_timeout_cap END
    ELSE :recovery_timeout END
  ELSE breakers.open_seconds END,
probe_token=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND (:test = 'count'
      AND
      CASE
        WHEN (:successes = 0) THEN breakers.failure_count + :failures
        ELSE :failures END >= :failure_threshold
      OR :test = 'score'
      AND (:trips_alone = 1
        OR breakers.score_generation = breakers.generation
        AND breakers.score >= :enough))) THEN ''
  ELSE breakers.probe_token END,
probe_until=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND (:test = 'count'
      AND
      CASE
        WHEN (:successes = 0) THEN breakers.failure_count + :failures
        ELSE :failures END >= :failure_threshold
      OR :test = 'score'
      AND (:trips_alone = 1
        OR breakers.score_generation = breakers.generation
        AND breakers.score >= :enough))) THEN 0.0
  ELSE breakers.probe_until END,
score=CASE
  WHEN (:test = 'score'
    AND breakers.state = 'closed') THEN
  CASE
    WHEN (breakers.score_generation = breakers.generation
      AND breakers.score > :relief) THEN breakers.score - :relief
    ELSE 0.0 END + :evidence
  ELSE breakers.score END,
score_generation=CASE
  WHEN (:test = 'score'
    AND breakers.state = 'closed') THEN breakers.generation
  ELSE breakers.score_generation END,
history=CASE
  WHEN (breakers.state = 'half_open'
    OR breakers.state = 'closed'
    AND (:test = 'count'
      AND
      CASE
        WHEN (:successes = 0) THEN breakers.failure_count + :failures
        ELSE :failures END >= :failure_threshold
      OR :test = 'score'
      AND (:trips_alone = 1
        OR breakers.score_generation = breakers.generation
        AND breakers.score >= :enough))) THEN substr(CAST(coalesce(:now, ((julianday('now') - 2440587.5) * 86400.0)) * 1000 AS INTEGER) ||
    CASE
      WHEN (breakers.state = 'half_open') THEN 'P'
      ELSE
      CASE
        WHEN (:test = 'score') THEN 'S'
        ELSE 'N' END END || substr(breakers.state,
      1,
      1) || 'o' || :label || ';' || breakers.history,
    1,
    256)
  ELSE breakers.history END
WHERE breakers.namespace = :namespace
AND breakers.name = :name
AND (:generation = -1
  OR breakers.generation = :generation
  AND breakers.probe_token = :token
  AND (breakers.state = 'closed'
    OR :token != ''))
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
override_reason
