SELECT breakers.namespace 
FROM breakers
WHERE breakers.namespace = :namespace
AND NOT (EXISTS (SELECT * 
FROM breakers AS itself
    WHERE itself.namespace = :namespace
    AND itself.name = :name))
 LIMIT 1 OFFSET :others
