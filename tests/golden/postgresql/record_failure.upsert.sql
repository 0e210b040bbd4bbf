INSERT INTO cbstore.breakers (namespace,
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
VALUES (%(namespace)s::VARCHAR,
  %(name)s::VARCHAR,
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + %(failures)s::BIGINT >= %(failure_threshold)s::BIGINT) THEN 'open'
    ELSE 'closed' END,
  'closed',
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + %(failures)s::BIGINT >= %(failure_threshold)s::BIGINT) THEN 0 + 1
    ELSE 0 END,
  (0 + %(failures)s::BIGINT),
  0,
  coalesce(%(now)s,
    date_part('epoch',
      clock_timestamp())),
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + %(failures)s::BIGINT >= %(failure_threshold)s::BIGINT) THEN coalesce(%(now)s,
      date_part('epoch',
        clock_timestamp())) +
    CASE
      WHEN (0.0 > 0.0
        AND %(backoff_multiplier)s > 1.0) THEN
      CASE
        WHEN (0.0 * %(backoff_multiplier)s < %(recovery_timeout_cap)s) THEN 0.0 * %(backoff_multiplier)s
        ELSE %(recovery_timeout_cap)s END
      ELSE %(recovery_timeout)s END * %(stretch)s
    ELSE
    CASE
      WHEN ('closed' = 'open') THEN
      CASE
        WHEN (0.0 > coalesce(%(now)s,
            date_part('epoch',
              clock_timestamp())) + %(recovery_timeout)s) THEN 0.0
        ELSE coalesce(%(now)s,
          date_part('epoch',
            clock_timestamp())) + %(recovery_timeout)s END
      ELSE 0.0 END END,
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + %(failures)s::BIGINT >= %(failure_threshold)s::BIGINT) THEN
    CASE
      WHEN (0.0 > 0.0
        AND %(backoff_multiplier)s > 1.0) THEN
      CASE
        WHEN (0.0 * %(backoff_multiplier)s < %(recovery_timeout_cap)s) THEN 0.0 * %(backoff_multiplier)s
        ELSE %(recovery_timeout_cap)s END
      ELSE %(recovery_timeout)s END
    ELSE 0.0 END,
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + %(failures)s::BIGINT >= %(failure_threshold)s::BIGINT) THEN ''
    ELSE '' END,
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + %(failures)s::BIGINT >= %(failure_threshold)s::BIGINT) THEN 0.0
    ELSE 0.0 END)
ON CONFLICT (namespace,
  name) DO UPDATE
SET state =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + %(failures)s::BIGINT >= %(failure_threshold)s::BIGINT) THEN 'open'
  ELSE cbstore.breakers.state END,
previous_state = cbstore.breakers.state,
generation =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + %(failures)s::BIGINT >= %(failure_threshold)s::BIGINT) THEN cbstore.breakers.generation + 1
  ELSE cbstore.breakers.generation END,
failure_count = (cbstore.breakers.failure_count + %(failures)s::BIGINT),
success_count = 0,
last_failure_time = coalesce(%(now)s,
  date_part('epoch',
    clock_timestamp())),
open_until =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + %(failures)s::BIGINT >= %(failure_threshold)s::BIGINT) THEN coalesce(%(now)s,
    date_part('epoch',
      clock_timestamp())) +
  CASE
    WHEN (cbstore.breakers.open_seconds > 0.0
      AND %(backoff_multiplier)s > 1.0) THEN
    CASE
      WHEN (cbstore.breakers.open_seconds * %(backoff_multiplier)s < %(recovery_timeout_cap)s) THEN cbstore.breakers.open_seconds * %(backoff_multiplier)s
      ELSE %(recovery_timeout_cap)s END
    ELSE %(recovery_timeout)s END * %(stretch)s
  ELSE
  CASE
    WHEN (cbstore.breakers.state = 'open') THEN
    CASE
      WHEN (cbstore.breakers.open_until > coalesce(%(now)s,
          date_part('epoch',
            clock_timestamp())) + %(recovery_timeout)s) THEN cbstore.breakers.open_until
      ELSE coalesce(%(now)s,
        date_part('epoch',
          clock_timestamp())) + %(recovery_timeout)s END
    ELSE cbstore.breakers.open_until END END,
open_seconds =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + %(failures)s::BIGINT >= %(failure_threshold)s::BIGINT) THEN
  CASE
    WHEN (cbstore.breakers.open_seconds > 0.0
      AND %(backoff_multiplier)s > 1.0) THEN
    CASE
      WHEN (cbstore.breakers.open_seconds * %(backoff_multiplier)s < %(recovery_timeout_cap)s) THEN cbstore.breakers.open_seconds * %(backoff_multiplier)s
      ELSE %(recovery_timeout_cap)s END
    ELSE %(recovery_timeout)s END
  ELSE cbstore.breakers.open_seconds END,
probe_token =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + %(failures)s::BIGINT >= %(failure_threshold)s::BIGINT) THEN ''
  ELSE cbstore.breakers.probe_token END,
probe_until =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + %(failures)s::BIGINT >= %(failure_threshold)s::BIGINT) THEN 0.0
  ELSE cbstore.breakers.probe_until END
WHERE %(generation)s::BIGINT = -1
OR cbstore.breakers.generation = %(generation)s::BIGINT
AND cbstore.breakers.probe_token = %(token)s::VARCHAR
AND (cbstore.breakers.state = 'closed'
  OR %(token)s::VARCHAR != '')
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
coalesce(%(now)s,
  date_part('epoch',
    clock_timestamp())) AS as_of
