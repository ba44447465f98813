-- Proves what seed/database.sql leaves unchecked: every foreign key holds. Fails (division by zero) with the number of
-- rows that do not fit on the line above. Run by a superuser.
\set ON_ERROR_STOP on
\pset tuples_only on
SELECT format(
    'SELECT %L || '': '' || n, 1 / (n = 0)::int FROM (SELECT count(*) AS n FROM %s c WHERE NOT EXISTS (SELECT 1 FROM %s p WHERE %s) AND %s) x',
    conname, conrelid::regclass, confrelid::regclass,
    (SELECT string_agg(format('p.%I = c.%I', pa.attname, ca.attname), ' AND ') FROM unnest(conkey, confkey) AS k (c, p)
     JOIN pg_attribute ca ON ca.attrelid = conrelid AND ca.attnum = k.c JOIN pg_attribute pa ON pa.attrelid = confrelid AND pa.attnum = k.p),
    (SELECT string_agg(format('c.%I IS NOT NULL', ca.attname), ' AND ') FROM unnest(conkey) AS k
     JOIN pg_attribute ca ON ca.attrelid = conrelid AND ca.attnum = k))
FROM pg_constraint WHERE contype = 'f' ORDER BY conname \gexec
SELECT 'tables: ' || count(*) || ', rows: ' || sum((xpath('/row/n/text()',
    query_to_xml(format('SELECT count(*) AS n FROM %s', oid::regclass), false, true, '')))[1]::text::bigint)
FROM pg_class WHERE relkind = 'r' AND relnamespace IN ('public'::regnamespace, 'audit'::regnamespace);
