/// A schema with every kind of object that is moved, and names that try to break out of their quotes.
let everyKind = #"""
    CREATE EXTENSION citext;
    CREATE SCHEMA "Sch""ema; drop table x";
    CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
    CREATE DOMAIN posint AS int DEFAULT 1 NOT NULL CHECK (value > 0);
    CREATE TYPE addr AS (street text, num int);
    CREATE TYPE frange AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi);
    CREATE FUNCTION slug(t text) RETURNS text LANGUAGE sql IMMUTABLE
        AS $$ SELECT lower(regexp_replace(t, '\W+', '-')) $$;
    CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email public.citext NOT NULL UNIQUE,
        mood mood DEFAULT 'happy', home addr, tags text[], created timestamptz(3) DEFAULT now(),
        slug text GENERATED ALWAYS AS (slug(email::text)) STORED, r frange, p posint, j json, jb jsonb, f8 float8,
        f4 float4, n numeric, b bytea, u uuid DEFAULT gen_random_uuid(), iv interval, ip inet, moods mood[],
        tsv tsvector, mn money, bt bit(3), CHECK (id > 0));
    COMMENT ON TABLE users IS 'the "users" \ it''s';
    COMMENT ON COLUMN users.email IS 'mail';
    INSERT INTO users (email, mood, home, tags, r, p, j, jb, f8, f4, n, b, iv, ip, moods, tsv, mn, bt)
        SELECT 'U' || i || '@x.y', (ARRAY['sad', 'it''s ok', 'happy', NULL])[1 + i % 4]::mood,
        ROW('s"t' || i, i)::addr, ARRAY['a', 'b"' || i, NULL], frange(i, i + 1.5), 1 + i, '{"a" : 1,  "b":null}',
        '{"z":1.0,"a":[1,2]}', CASE WHEN i % 50 = 0 THEN 'NaN' ELSE i / 3.0 END, i / 7.0, i / 9.0,
        decode(md5(i::text), 'hex'), i * interval '1 hour 3 min', '10.0.0.1', ARRAY['sad', 'happy']::mood[],
        to_tsvector('english', 'hello world ' || i), i::money, b'101' FROM generate_series(1, 500) i;
    INSERT INTO users (email) VALUES (E'quote\\back\nslash\t');
    CREATE TABLE orders (id serial PRIMARY KEY, user_id bigint REFERENCES users ON DELETE CASCADE,
        total numeric(10, 2) CHECK (total >= 0), status text NOT NULL DEFAULT 'new', at date,
        UNIQUE (user_id, id) DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO orders (user_id, total, at) SELECT 1 + i % 500, i / 3.0, '2024-01-01'::date + i % 300
        FROM generate_series(1, 5000) i;
    CREATE INDEX ON orders (at) WHERE status = 'new';
    CREATE INDEX "idx expr" ON orders (lower(status), total DESC NULLS LAST) INCLUDE (id);
    CREATE INDEX ON users USING gin (jb);
    CREATE TABLE "Sch""ema; drop table x"."T'a""b" ("c""o'l" int PRIMARY KEY, "sel\ect" text, "from" text,
        "select" int DEFAULT 7);
    INSERT INTO "Sch""ema; drop table x"."T'a""b" VALUES (1, '\N', '\.', NULL), (2, NULL, E'a\tb\nc', 3);
    CREATE TABLE nopk (a int, b text);
    INSERT INTO nopk SELECT i % 10, 'x' FROM generate_series(1, 100) i;
    CREATE TABLE empty (a int PRIMARY KEY);
    CREATE TABLE nocols ();
    CREATE TABLE parts (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2024-06-01');
    CREATE TABLE parts_x (at date NOT NULL, v text, id int NOT NULL);
    ALTER TABLE parts ATTACH PARTITION parts_x FOR VALUES FROM ('2024-06-01') TO ('2025-01-01');
    CREATE TABLE parts_d PARTITION OF parts DEFAULT;
    CREATE INDEX ON parts (v);
    ALTER TABLE parts ADD CHECK (id >= 0);
    INSERT INTO parts SELECT i, '2024-01-01'::date + i % 500, 'v' || i FROM generate_series(1, 1000) i;
    CREATE TABLE refp (id int PRIMARY KEY, pid int, pat date, FOREIGN KEY (pid, pat) REFERENCES parts (id, at));
    INSERT INTO refp VALUES (1, 1, '2024-01-02');
    CREATE TABLE inh_base (a int, b text);
    CREATE TABLE inh_child (c int) INHERITS (inh_base);
    INSERT INTO inh_base VALUES (1, 'p');
    INSERT INTO inh_child VALUES (2, 'c', 3);
    CREATE TABLE excl (during int4range, EXCLUDE USING gist (during WITH &&));
    INSERT INTO excl VALUES ('[1,5)'), ('[5,9)');
    CREATE UNLOGGED TABLE unl (a int);
    INSERT INTO unl VALUES (1);
    CREATE VIEW v_orders WITH (security_barrier = true) AS
        SELECT o.id, u.email, o.total FROM orders o JOIN users u ON u.id = o.user_id;
    CREATE VIEW v_group AS SELECT u.id, u.email, count(*) c FROM users u GROUP BY u.id;
    CREATE VIEW v_on_group AS SELECT * FROM v_group;
    CREATE MATERIALIZED VIEW mv AS SELECT status, count(*) n, sum(total) s FROM orders GROUP BY status;
    CREATE UNIQUE INDEX mvx ON mv (status);
    CREATE MATERIALIZED VIEW mv_empty AS SELECT 1 a WITH NO DATA;
    CREATE FUNCTION boom() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'a trigger fired during the copy'; END $$;
    CREATE TRIGGER t_ins BEFORE INSERT ON orders FOR EACH ROW WHEN (new.total > 1e9) EXECUTE FUNCTION boom();
    CREATE TRIGGER t_always BEFORE INSERT OR TRUNCATE ON nopk FOR EACH STATEMENT EXECUTE FUNCTION boom();
    ALTER TABLE nopk ENABLE ALWAYS TRIGGER t_always;
    CREATE TRIGGER t_off AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION boom();
    ALTER TABLE orders DISABLE TRIGGER t_off;
    CREATE FUNCTION total(uid bigint) RETURNS numeric LANGUAGE sql STABLE
        BEGIN ATOMIC SELECT sum(total) FROM orders WHERE user_id = uid; END;
    CREATE PROCEDURE proc(INOUT x int) LANGUAGE plpgsql AS $$ BEGIN x := x + 1; END $$;
    CREATE FUNCTION usr(u users) RETURNS text LANGUAGE sql AS $$ SELECT u.email::text $$;
    REVOKE EXECUTE ON FUNCTION usr(users) FROM PUBLIC;
    CREATE SEQUENCE lonely INCREMENT BY 5 START 100 CYCLE MAXVALUE 1000;
    SELECT nextval('lonely'), nextval('lonely');
    CREATE SEQUENCE never START 42;
    ALTER TABLE users ENABLE ROW LEVEL SECURITY;
    CREATE POLICY p_own ON users FOR SELECT TO app USING (id > 0);
    CREATE POLICY p_all ON users AS RESTRICTIVE TO PUBLIC USING (true) WITH CHECK (true);
    ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
    ALTER TABLE orders FORCE ROW LEVEL SECURITY;
    CREATE POLICY p_o ON orders USING (true);
    CREATE RULE r_no AS ON DELETE TO empty DO INSTEAD NOTHING;
    CREATE STATISTICS st ON status, at FROM orders;
    GRANT SELECT, INSERT ON users TO app;
    GRANT UPDATE (mood) ON users TO app WITH GRANT OPTION;
    GRANT USAGE ON SEQUENCE lonely TO app;
    GRANT ALL ON orders TO app;
    """#
