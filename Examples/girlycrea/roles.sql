-- The roles of the old world, as a managed PostgreSQL service has them. Run by a superuser before schema.sql, with the
-- psql variables shop_password, migrator_password, authenticator_password and back_office_password. Idempotent.
SET client_min_messages = warning;
SELECT format('CREATE ROLE %I', r) FROM unnest(ARRAY['shop', 'migrator', 'authenticator', 'back_office', 'anon',
    'authenticated', 'service_role']) AS r WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = r) \gexec

ALTER ROLE shop LOGIN PASSWORD :'shop_password';
ALTER ROLE back_office LOGIN PASSWORD :'back_office_password';
-- The API's gateway: logs in, then becomes one of the API roles for each request.
ALTER ROLE authenticator LOGIN NOINHERIT PASSWORD :'authenticator_password';
ALTER ROLE anon NOLOGIN;
ALTER ROLE authenticated NOLOGIN;
ALTER ROLE service_role NOLOGIN BYPASSRLS;
GRANT anon, authenticated, service_role TO authenticator;

-- What Bascule logs in as: no superuser, since a managed service never gives one.
--   pg_read_all_data + BYPASSRLS            every row of every table, sequences included
--   member of every writer (INHERIT, SET)   acts as the owner: REVOKE and GRANT on its tables, and SET ROLE to prove
--                                           that a write is refused
--   CREATEROLE + ADMIN on each of them      ALTER ROLE … NOLOGIN for the time of the fence
--   pg_signal_backend, pg_monitor           sees and ends the sessions that are still open
--   REPLICATION                             follows the live database, so that the outage does not grow with its size
--   SET session_replication_role            carries new writes back after T0 without firing triggers a second time
ALTER ROLE migrator LOGIN CREATEROLE REPLICATION BYPASSRLS NOSUPERUSER PASSWORD :'migrator_password';
GRANT pg_read_all_data, pg_signal_backend, pg_monitor TO migrator;
GRANT shop, authenticator, back_office, anon, authenticated, service_role TO migrator
    WITH ADMIN TRUE, INHERIT TRUE, SET TRUE;

SELECT 'GRANT SET ON PARAMETER session_replication_role TO migrator'
WHERE current_setting('server_version_num')::int >= 150000 \gexec
