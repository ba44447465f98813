/// A schema that holds every pitfall that we know of, with values that go over.
let pitfallSchema = """
    CREATE TABLE Teams (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, Name VARCHAR(40) NOT NULL,
        UNIQUE KEY Teams_Name_key (Name)) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
    CREATE TABLE people (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
        email VARCHAR(190) COLLATE utf8mb4_general_ci NOT NULL, code CHAR(8) COLLATE utf8mb4_bin,
        active TINYINT(1) NOT NULL DEFAULT 1, flags TINYINT UNSIGNED NOT NULL DEFAULT 0,
        mood ENUM('happy','so so','it''s bad') DEFAULT 'happy', likes SET('tea','coffee','milk hot') ,
        born DATE, joined DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
        seen TIMESTAMP(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
        wakes TIME(2), hired YEAR, team INT UNSIGNED, boss BIGINT UNSIGNED,
        rate FLOAT, mass DOUBLE, wage DECIMAL(12,4) UNSIGNED DEFAULT 0.5,
        bits BIT(10) DEFAULT b'101', one BIT(1), settings JSON, photo LONGBLOB, token BINARY(16),
        ident UUID, host INET6, note TEXT, old VARCHAR(30) CHARACTER SET latin1, tri VARCHAR(30) CHARACTER SET utf8mb3,
        shown VARCHAR(240) GENERATED ALWAYS AS (CONCAT(LOWER(email), '/', flags)) STORED,
        twice INT GENERATED ALWAYS AS (flags * 2) VIRTUAL COMMENT 'it''s double',
        UNIQUE KEY email (email), KEY by_team (team, joined DESC), KEY by_note (note(20)),
        CONSTRAINT wage_ok CHECK (wage >= 0), CONSTRAINT fk_team FOREIGN KEY (team) REFERENCES Teams (id)
            ON DELETE SET NULL ON UPDATE CASCADE,
        CONSTRAINT fk_boss FOREIGN KEY (boss) REFERENCES people (id) ON DELETE CASCADE) COMMENT='people \\\\ of the "shop"';
    CREATE TABLE _PersonToTeam (A BIGINT UNSIGNED NOT NULL, B INT UNSIGNED NOT NULL,
        UNIQUE KEY _PersonToTeam_AB_unique (A, B), KEY _PersonToTeam_B_index (B),
        CONSTRAINT _PersonToTeam_A_fkey FOREIGN KEY (A) REFERENCES people (id) ON DELETE CASCADE ON UPDATE CASCADE,
        CONSTRAINT _PersonToTeam_B_fkey FOREIGN KEY (B) REFERENCES Teams (id) ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE nokey (a INT, b VARCHAR(10));
    CREATE TABLE empty (id INT PRIMARY KEY);
    CREATE TABLE _prisma_migrations (id VARCHAR(36) PRIMARY KEY);
    CREATE TABLE parts (id INT NOT NULL, y INT NOT NULL, PRIMARY KEY (id, y)) PARTITION BY HASH (y) PARTITIONS 3;
    CREATE TABLE isam (id INT PRIMARY KEY, t TEXT) ENGINE=MyISAM;
    INSERT INTO Teams VALUES (1, 'Red'), (2, 'Blue É');
    INSERT INTO people (email, code, active, flags, mood, likes, born, joined, seen, wakes, hired, team, boss, rate, mass,
        wage, bits, one, settings, photo, token, ident, host, note, old, tri) VALUES
        ('Ann@Shop.example', 'Ab  ', 1, 255, 'it''s bad', 'tea,coffee', '1904-02-29', '2024-03-31 02:30:00.123',
        '2024-10-27 00:30:00.5', '23:59:59.99', 1999, 1, NULL, 0.1, 1e-300, 12345678.0001, b'1111111111', b'1',
        '{"z": 1, "a": [1.50, "é", {"k": null}]}', X'00FF5C0A0D09', X'000102030405060708090A0B0C0D0E0F',
        '123E4567-E89B-12D3-A456-426655440000', '::ffff:1.2.3.4',
        'tab\\tline\\nback\\\\slash \\r \\'q\\' \\\\N', 'd\u{e9}j\u{e0} €', 'naïve'),
        ('bob@shop.example', NULL, 0, 0, NULL, '', NULL, '1000-01-01 00:00:00', NULL, NULL, NULL, NULL, 1, -3.5e38 / 10, -0.0,
        NULL, NULL, NULL, NULL, '', NULL, NULL, NULL, '', '', 'plain');
    INSERT INTO _PersonToTeam VALUES (1, 1), (1, 2), (2, 2);
    INSERT INTO nokey VALUES (1, 'x'), (1, 'x'), (NULL, NULL);
    INSERT INTO parts VALUES (1, 2020), (1, 2021), (2, 2021);
    INSERT INTO isam VALUES (1, 'y');
    ALTER TABLE people AUTO_INCREMENT = 5000;

    """
