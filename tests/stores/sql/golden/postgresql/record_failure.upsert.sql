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
VALUES ($1,
  $2,
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + $3 >= $4) THEN 'open'
    ELSE 'closed' END,
  'closed',
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + $3 >= $4) THEN 0 + 1
    ELSE 0 END,
  (0 + $3),
  0,
  coalesce($5,
    date_part('epoch',
      clock_timestamp())),
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + $3 >= $4) THEN coalesce($5,
      date_part('epoch',
        clock_timestamp())) +
    CASE
      WHEN (0.0 > 0.0
        AND $6 > 1.0) THEN
      CASE
        WHEN (0.0 * $6 < $7) THEN 0.0 * $6
        ELSE $7 END
      ELSE $8 END * $9
    ELSE
    CASE
      WHEN ('closed' = 'open') THEN
      CASE
        WHEN (0.0 > coalesce($5,
            date_part('epoch',
              clock_timestamp())) + $8) THEN 0.0
        ELSE coalesce($5,
          date_part('epoch',
            clock_timestamp())) + $8 END
      ELSE 0.0 END END,
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + $3 >= $4) THEN
    CASE
      WHEN (0.0 > 0.0
        AND $6 > 1.0) THEN
      CASE
        WHEN (0.0 * $6 < $7) THEN 0.0 * $6
        ELSE $7 END
      ELSE $8 END
    ELSE 0.0 END,
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + $3 >= $4) THEN ''
    ELSE '' END,
  CASE
    WHEN ('closed' = 'half_open'
      OR 'closed' = 'closed'
      AND 0 + $3 >= $4) THEN 0.0
    ELSE 0.0 END)
ON CONFLICT (namespace,
  name) DO UPDATE
SET state =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + $3 >= $4) THEN 'open'
  ELSE cbstore.breakers.state END,
previous_state = cbstore.breakers.state,
generation =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + $3 >= $4) THEN cbstore.breakers.generation + 1
  ELSE cbstore.breakers.generation END,
failure_count = (cbstore.breakers.failure_count + $3),
success_count = 0,
last_failure_time = coalesce($5,
  date_part('epoch',
    clock_timestamp())),
open_until =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + $3 >= $4) THEN coalesce($5,
    date_part('epoch',
      clock_timestamp())) +
  CASE
    WHEN (cbstore.breakers.open_seconds > 0.0
      AND $6 > 1.0) THEN
    CASE
      WHEN (cbstore.breakers.open_seconds * $6 < $7) THEN cbstore.breakers.open_seconds * $6
      ELSE $7 END
    ELSE $8 END * $9
  ELSE
  CASE
    WHEN (cbstore.breakers.state = 'open') THEN
    CASE
      WHEN (cbstore.breakers.open_until > coalesce($5,
          date_part('epoch',
            clock_timestamp())) + $8) THEN cbstore.breakers.open_until
      ELSE coalesce($5,
        date_part('epoch',
          clock_timestamp())) + $8 END
    ELSE cbstore.breakers.open_until END END,
open_seconds =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + $3 >= $4) THEN
  CASE
    WHEN (cbstore.breakers.open_seconds > 0.0
      AND $6 > 1.0) THEN
    CASE
      WHEN (cbstore.breakers.open_seconds * $6 < $7) THEN cbstore.breakers.open_seconds * $6
      ELSE $7 END
    ELSE $8 END
  ELSE cbstore.breakers.open_seconds END,
probe_token =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + $3 >= $4) THEN ''
  ELSE cbstore.breakers.probe_token END,
probe_until =
CASE
  WHEN (cbstore.breakers.state = 'half_open'
    OR cbstore.breakers.state = 'closed'
    AND cbstore.breakers.failure_count + $3 >= $4) THEN 0.0
  ELSE cbstore.breakers.probe_until END
WHERE $10 = -1
OR cbstore.breakers.generation = $10
AND cbstore.breakers.probe_token = $11
AND (cbstore.breakers.state = 'closed'
  OR $11 != '')
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
coalesce($5,
  date_part('epoch',
    clock_timestamp())) AS as_of
