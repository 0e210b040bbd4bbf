SELECT cbstore.breakers.namespace 
FROM cbstore.breakers
WHERE cbstore.breakers.namespace = $1
AND NOT (EXISTS (SELECT * 
FROM cbstore.breakers AS itself
    WHERE itself.namespace = $1
    AND itself.name = $2)) 
 LIMIT 1 OFFSET $3
