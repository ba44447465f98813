-- Managed by Bascule: how PgBouncer learns the verifier of a role that logs in through it. Only PgBouncer's own role may ask, and
-- no superuser, no replication role and no expired password is ever told.
BEGIN;
SET LOCAL lock_timeout = '10s';
CREATE SCHEMA IF NOT EXISTS bascule_pool;
DROP FUNCTION IF EXISTS bascule_pool.login(text);
CREATE FUNCTION bascule_pool.login(wanted text, OUT name text, OUT verifier text) RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS '{{body}}';
REVOKE ALL ON FUNCTION bascule_pool.login(text) FROM PUBLIC;
GRANT USAGE ON SCHEMA bascule_pool TO {{user}};
GRANT EXECUTE ON FUNCTION bascule_pool.login(text) TO {{user}};
COMMIT;
