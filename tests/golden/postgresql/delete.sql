DELETE FROM cbstore.breakers
WHERE cbstore.breakers.namespace = %(namespace)s::VARCHAR
AND cbstore.breakers.name = %(name)s::VARCHAR
