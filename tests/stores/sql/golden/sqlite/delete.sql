DELETE FROM breakers
WHERE breakers.namespace = :namespace
AND breakers.name = :name
