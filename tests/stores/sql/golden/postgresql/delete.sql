DELETE FROM cbstore.breakers
WHERE cbstore.breakers.namespace = $1
AND cbstore.breakers.name = $2
