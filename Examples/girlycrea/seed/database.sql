-- Fills the schema with some 300,000 rows, the same ones every time and on every machine: every value is a hash of its
-- row number, every time counts back from one fixed moment. Run by a superuser after schema.sql and after the table
-- `uploads` was loaded, with the psql variable `hashes`, an array of password hashes (first: the probes').
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET synchronous_commit = off;
SET TimeZone = 'UTC';
-- No trigger and no foreign key check per row: what is made here fits by construction (seed/check.sql proves it).
SET session_replication_role = replica;
BEGIN;

-- h(row, salt, n): 0 … n-1. PostgreSQL's own hash is the same in every version and does not depend on row order.
CREATE FUNCTION pg_temp.h(i bigint, salt bigint, n bigint) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT ((hashint8extended(i, salt) % n + n) % n)::integer $$;
CREATE FUNCTION pg_temp.pick(i bigint, salt bigint, choices text[]) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT choices[1 + ((hashint8extended(i, salt) % cardinality(choices) + cardinality(choices))
                           % cardinality(choices))] $$;
CREATE FUNCTION pg_temp.ago(i bigint, salt bigint, seconds bigint) RETURNS timestamptz LANGUAGE sql STABLE AS
    $$ SELECT timestamptz '2026-11-20 12:00:00+00'
              - ((hashint8extended(i, salt) % (seconds * 1000000) + seconds * 1000000) % (seconds * 1000000))
                * interval '1 microsecond' $$;

INSERT INTO customers (id, email, display_name, password_hash, kind, locale, phone, birthday, marketing, preferences,
                       tags, last_login_at, created_at, updated_at) OVERRIDING SYSTEM VALUE
SELECT i,
       CASE i WHEN 1 THEN 'smoke@shop.example' WHEN 2 THEN 'customer@shop.example' WHEN 3 THEN 'camille@shop.example'
              ELSE CASE WHEN i % 7 = 0 THEN initcap(slugify(f)) ELSE slugify(f) END || '.' || slugify(l) || i || '@'
                   || pg_temp.pick(i, 3, ARRAY['exemple.fr', 'courriel.example', 'poste.example', 'Mail.Example'])
       END,
       CASE i WHEN 1 THEN 'Sonde de fumée' WHEN 2 THEN 'Cliente synthétique' WHEN 3 THEN 'Camille Démo'
              ELSE f || ' ' || l END,
       (:'hashes'::text[])[1 + CASE WHEN i <= 3 THEN 0 ELSE 1 + pg_temp.h(i, 4, 15) END],
       (CASE i WHEN 1 THEN 'smoke' WHEN 2 THEN 'synthetic' ELSE 'person' END)::customer_kind,
       (CASE WHEN pg_temp.h(i, 5, 6) = 0 THEN 'en' ELSE 'fr' END)::locale,
       CASE WHEN pg_temp.h(i, 6, 3) > 0 THEN '+336' || lpad(pg_temp.h(i, 7, 100000000)::text, 8, '0') END,
       CASE WHEN pg_temp.h(i, 8, 4) > 0 THEN date '1950-01-01' + pg_temp.h(i, 9, 20000) END,
       pg_temp.h(i, 10, 3) = 0,
       jsonb_build_object('thème', pg_temp.pick(i, 11, ARRAY['clair', 'sombre']), 'taille', pg_temp.h(i, 12, 44),
                          'préférés', jsonb_build_array(pg_temp.h(i, 13, 1200), NULL, 1.50, 'é\u0022"')),
       CASE pg_temp.h(i, 14, 4) WHEN 0 THEN '{}' WHEN 1 THEN ARRAY['vip', 'fidèle'] WHEN 2 THEN ARRAY['a,b', '"q"', NULL]
            ELSE ARRAY[pg_temp.pick(i, 15, ARRAY['noël', 'saint-valentin', 'rentrée'])] END,
       CASE WHEN i % 3 = 0 THEN pg_temp.ago(i, 16, 5000000) END, pg_temp.ago(i, 17, 60000000), pg_temp.ago(i, 18, 5000000)
FROM (SELECT i,
        pg_temp.pick(i, 1, ARRAY['Léa', 'Chloé', 'Inès', 'Zoé', 'Maëlys', 'Aïcha', 'Camille', 'Noémie', 'Jeanne', 'Loïc',
            'Agnès', 'Élodie', 'Anaïs', 'Hélène', 'Sœurette', 'François', 'Bérénice', 'Yuna', 'Lucie', 'Margaux']) AS f,
        pg_temp.pick(i, 2, ARRAY['Martin', 'Lefèvre', 'Dupré', 'Garçon', 'Benoît', 'N''Guessan', 'Müller', 'O''Connor',
            'Le Goff', 'Çelik', 'Fontaine', 'Rousseau', 'Béranger', 'Dubois', 'Moreau', 'Łukasz']) AS l
      FROM generate_series(1, 12000) AS i) AS names;

INSERT INTO addresses (id, customer_id, label, street, postcode, city, country, is_default, created_at, updated_at)
SELECT i, 1 + (i - 1) % 12000, CASE WHEN i > 12000 THEN 'bureau' ELSE 'domicile' END,
       1 + pg_temp.h(i, 20, 180) || ' ' || pg_temp.pick(i, 21, ARRAY['rue des Lilas', 'allée de l’Écluse', 'place Émile-Zola',
           E'bd Voltaire\nBât. B', 'chemin du Moulin', 'quai "Saint-Michel"']),
       lpad((1000 + pg_temp.h(i, 22, 94000))::text, 5, '0'),
       pg_temp.pick(i, 23, ARRAY['Paris', 'Lyon', 'Nîmes', 'Besançon', 'Angoulême', 'Évreux', 'L’Haÿ-les-Roses', 'Bruxelles']),
       (CASE pg_temp.h(i, 24, 12) WHEN 0 THEN 'BE' WHEN 1 THEN 'CH' ELSE 'FR' END), i <= 12000,
       pg_temp.ago(i, 25, 60000000), pg_temp.ago(i, 26, 6000000)
FROM generate_series(1, 14000) AS i;

-- The catalogue: 12 kinds, 10 motifs, 10 colours ----------------------------------------------------------------------

INSERT INTO categories (id, parent_id, slug, name_fr, name_en, position) OVERRIDING SYSTEM VALUE VALUES
    (1, NULL, 'papeterie', 'Papeterie', 'Stationery', 1), (2, NULL, 'bijoux', 'Bijoux', 'Jewellery', 2),
    (3, NULL, 'maison', 'Maison', 'Home', 3), (4, NULL, 'mode', 'Mode', 'Fashion', 4),
    (5, 1, 'carnets', 'Carnets', 'Notebooks', 1), (6, 1, 'affiches', 'Affiches', 'Posters', 2),
    (7, 1, 'autocollants', 'Autocollants', 'Stickers', 3), (8, 2, 'colliers', 'Colliers', 'Necklaces', 1),
    (9, 2, 'boucles-d-oreilles', 'Boucles d’oreilles', 'Earrings', 2), (10, 2, 'bracelets', 'Bracelets', 'Bracelets', 3),
    (11, 3, 'bougies', 'Bougies', 'Candles', 1), (12, 3, 'mugs', 'Mugs', 'Mugs', 2), (13, 3, 'coussins', 'Coussins', 'Cushions', 3),
    (14, 4, 'trousses', 'Trousses', 'Pouches', 1), (15, 4, 'chouchous', 'Chouchous', 'Scrunchies', 2), (16, 4, 'sacs', 'Sacs', 'Bags', 3);

INSERT INTO products (id, slug, status, name_fr, name_en, description_fr, description_en, price, vat_rate, attributes, tags,
                      parcel, weight_g, created_at, updated_at) OVERRIDING SYSTEM VALUE
SELECT i, slugify(kf[k] || ' ' || mf[m] || ' ' || cf[c]),
       (CASE WHEN pg_temp.h(i, 30, 40) = 0 THEN 'archived' WHEN pg_temp.h(i, 30, 40) = 1 THEN 'draft' ELSE 'published' END)::product_status,
       kf[k] || ' ' || mf[m] || ' ' || cf[c], initcap(cen[c] || ' ' || men[m] || ' ' || ken[k]),
       'Fait main à Angoulême, motif ' || mf[m] || ', teinte ' || cf[c] || '. Chaque pièce est unique : la vôtre aussi.',
       'Made by hand in Angoulême, with ' || men[m] || ' and ' || cen[c] || '. Every piece is unique, and so is yours.',
       (300 + pg_temp.h(i, 31, 6000))::numeric / 100, CASE WHEN k = 1 THEN 0.055 ELSE 0.200 END,
       jsonb_build_object('couleur', cf[c], 'motif', mf[m], 'fait_main', true, 'poids', pg_temp.h(i, 32, 900) / 10.0),
       ARRAY[mf[m], cf[c], pg_temp.pick(i, 33, ARRAY['nouveau', 'cadeau', 'petit prix', 'édition limitée'])],
       ROW(50 + pg_temp.h(i, 34, 300), 40 + pg_temp.h(i, 35, 200), 5 + pg_temp.h(i, 36, 100))::parcel_size,
       (pg_temp.h(i, 37, 90000) / 100.0)::real, pg_temp.ago(i, 38, 60000000), pg_temp.ago(i, 39, 3000000)
FROM (SELECT i, 1 + (i - 1) / 100 AS k, 1 + (i - 1) / 10 % 10 AS m, 1 + (i - 1) % 10 AS c FROM generate_series(1, 1200) AS i) AS n,
     (SELECT ARRAY['Carnet', 'Affiche', 'Autocollants', 'Collier', 'Boucles d’oreilles', 'Bracelet', 'Bougie', 'Mug', 'Coussin',
                   'Trousse', 'Chouchou', 'Sac'] AS kf,
             ARRAY['notebook', 'poster', 'stickers', 'necklace', 'earrings', 'bracelet', 'candle', 'mug', 'cushion', 'pouch',
                   'scrunchie', 'bag'] AS ken,
             ARRAY['lune', 'pivoine', 'papillon', 'étoile', 'cerise', 'nuage', 'chat', 'licorne', 'coquelicot', 'fraise'] AS mf,
             ARRAY['moon', 'peony', 'butterfly', 'star', 'cherry', 'cloud', 'cat', 'unicorn', 'poppy', 'strawberry'] AS men,
             ARRAY['rose poudré', 'lilas', 'menthe', 'pêche', 'ivoire', 'corail', 'bleu nuit', 'doré', 'vert sauge', 'terracotta'] AS cf,
             ARRAY['powder pink', 'lilac', 'mint', 'peach', 'ivory', 'coral', 'midnight blue', 'golden', 'sage', 'terracotta'] AS cen) AS words;
INSERT INTO products (id, slug, status, name_fr, name_en, description_fr, description_en, price, tags, created_at, updated_at)
    OVERRIDING SYSTEM VALUE VALUES (1201, 'carte-cadeau', 'published', 'Carte cadeau', 'Gift card',
    'À offrir sans se tromper ; valable un an sur toute la boutique.', 'The gift that always fits; valid for a year, shop-wide.',
    10.00, ARRAY['cadeau'], timestamptz '2026-11-20 12:00+00', timestamptz '2026-11-20 12:00+00');

INSERT INTO product_categories
SELECT i, 5 + (i - 1) / 100 FROM generate_series(1, 1200) AS i
UNION ALL SELECT i, ARRAY_POSITION(ARRAY[3, 3, 4], 3 + (i - 1) / 100 / 9) FROM generate_series(1, 1200) AS i WHERE i % 4 = 0
UNION ALL SELECT 1201, 1
ON CONFLICT DO NOTHING;

INSERT INTO product_images (product_id, position, upload_id, alt_fr, alt_en)
SELECT p.id, n, u.id, p.name_fr, p.name_en FROM products p
CROSS JOIN LATERAL generate_series(0, CASE WHEN p.id % 2 = 0 THEN 1 ELSE 0 END) AS n
JOIN uploads u ON u.path = 'produits/' || lpad((1 + (p.id * 7 + n * 31) % 180)::text, 4, '0') || '.svg';

INSERT INTO variants (id, product_id, sku, label, surcharge, barcode) OVERRIDING SYSTEM VALUE
SELECT i, 1 + (i - 1) / 3, 'GC-' || lpad(i::text, 5, '0') || (ARRAY['-S', '-M', '-L'])[1 + (i - 1) % 3],
       (ARRAY['Petit', 'Moyen', 'Grand'])[1 + (i - 1) % 3], (ARRAY[0, 2.50, 5.90])[1 + (i - 1) % 3],
       CASE WHEN i % 11 > 0 THEN decode(md5(i::text), 'hex') END
FROM generate_series(1, 3600) AS i
UNION ALL SELECT 3601, 1201, 'CC-0001', 'Dix euros', 0, '\x00ff00'::bytea;

INSERT INTO warehouses (id, code, name, location) VALUES (1, 'ANG', 'Atelier d’Angoulême', '(45.6484,0.1562)'),
    (2, 'LYO', 'Réserve de Lyon', '(45.764,4.8357)'), (3, 'X 1', 'Fermé', NULL);
INSERT INTO stock (variant_id, warehouse_id, quantity, reorder_level, updated_at)
SELECT i, 1 + pg_temp.h(i, 40, 2), CASE WHEN i = 3601 THEN 1000000 ELSE greatest(0, pg_temp.h(i, 41, 400) - 10) END,
       5 + pg_temp.h(i, 42, 10), pg_temp.ago(i, 43, 3000000) FROM generate_series(1, 3601) AS i;
INSERT INTO audit.stock_changes (id, variant_id, before, after, reason, changed_by, changed_at)
SELECT i, 1 + pg_temp.h(i, 44, 3600), CASE WHEN i % 50 > 0 THEN 20 + pg_temp.h(i, 45, 300) END, pg_temp.h(i, 46, 300),
       (enum_range(NULL::"StockReason"))[1 + pg_temp.h(i, 47, 5)], 'shop', pg_temp.ago(i, 48, 60000000)
FROM generate_series(1, 20000) AS i;

INSERT INTO reviews (id, product_id, customer_id, stars, title, body, published, created_at) OVERRIDING SYSTEM VALUE
SELECT i, 1 + pg_temp.h(i, 50, 1201), CASE WHEN i % 9 > 0 THEN 4 + pg_temp.h(i, 51, 11997) END,
       (ARRAY[5, 5, 4, 5, 3, 4, 5, 2, 4, 1])[1 + pg_temp.h(i, 52, 10)],
       pg_temp.pick(i, 53, ARRAY['Ravie !', 'Très joli', 'Conforme', 'Coup de cœur 💖', 'Un peu petit', NULL]),
       pg_temp.pick(i, 54, ARRAY['Livraison rapide, emballage soigné.', E'Offert à ma sœur :\nelle adore !',
           'Couleur un peu différente de la photo, mais c’est beau quand même.', E'Tab\tet \\ antislash, "guillemets" et ''apostrophes''.',
           '¡Precioso! 素敵です 👩🏽‍🎨', 'Je recommande à 100 %.', '<b>Pas du HTML</b> & pourtant…']) || ' (' || i || ')',
       pg_temp.h(i, 55, 25) > 0, pg_temp.ago(i, 56, 60000000)
FROM generate_series(1, 15000) AS i;

-- Orders: 24,000 over two years; the lines first, as an order's total is their sum -----------------------------------

INSERT INTO coupons (id, code, percent, amount, validity)
SELECT i, 'DOUCEUR' || i, CASE WHEN i % 2 = 0 THEN 5 + i % 20 END, CASE WHEN i % 2 = 1 THEN 1 + i % 9 END,
       tstzrange(timestamptz '2024-12-01 00:00+00' + i * interval '18 days', timestamptz '2024-12-15 00:00+00' + i * interval '18 days')
FROM generate_series(1, 40) AS i;

INSERT INTO order_lines (order_id, line_no, variant_id, quantity, unit_price)
SELECT o, n, v.id, 1 + pg_temp.h(o * 8 + n, 60, 3), p.price + v.surcharge
FROM generate_series(1000, 24999) AS o
CROSS JOIN LATERAL generate_series(1, 1 + pg_temp.h(o, 61, 4)) AS n
JOIN variants v ON v.id = 1 + pg_temp.h(o * 8 + n, 62, 3600) JOIN products p ON p.id = v.product_id;

INSERT INTO orders (id, number, customer_id, status, reference, idempotency_key, coupon_id, shipping, total, note, placed_at, updated_at)
SELECT o, 'GC-' || lpad((99000 + o)::text, 8, '0'), 4 + pg_temp.h(o, 63, 11997), status,
       CASE WHEN pg_temp.h(o, 64, 30) = 0 THEN 'bon n°' || o END, CASE WHEN o % 2 = 0 THEN md5('key' || o) END,
       CASE WHEN o % 16 = 0 THEN 1 + pg_temp.h(o, 65, 40) END,
       jsonb_build_object('city', pg_temp.pick(o, 66, ARRAY['Paris', 'Lyon', 'Nîmes', 'Évreux']), 'country', 'FR'), total,
       CASE WHEN pg_temp.h(o, 67, 20) = 0 THEN E'Sonnez fort,\r\nmerci' WHEN pg_temp.h(o, 67, 20) = 1 THEN '' END, placed, placed
FROM (SELECT o, timestamptz '2024-11-20 08:00+00' + (o - 1000) * interval '2628 seconds' + pg_temp.h(o, 68, 2600) * interval '1 second' AS placed,
             CASE WHEN o > 24900 THEN (ARRAY['pending', 'paid', 'preparing'])[1 + pg_temp.h(o, 69, 3)]
                  ELSE (ARRAY['delivered', 'delivered', 'delivered', 'delivered', 'shipped', 'cancelled', 'refunded'])[1 + pg_temp.h(o, 69, 7)]
             END::order_status AS status
      FROM generate_series(1000, 24999) AS o) AS made
JOIN (SELECT order_id, sum(line_total) AS total FROM order_lines GROUP BY order_id) AS sums ON sums.order_id = o;

INSERT INTO coupon_uses SELECT coupon_id, id, placed_at FROM orders WHERE coupon_id IS NOT NULL;
INSERT INTO payments (id, order_id, method, amount, provider_response, fingerprint, paid_at)
SELECT md5('payment' || id)::uuid, id, (enum_range(NULL::payment_method))[1 + pg_temp.h(id, 70, 4)], total,
       CASE WHEN id % 5 > 0 THEN jsonb_build_object('id', 'ch_' || md5(id::text), 'risk', pg_temp.h(id, 71, 1000) / 1000.0,
           'card', jsonb_build_object('last4', lpad(pg_temp.h(id, 72, 10000)::text, 4, '0'), '3ds', id % 2 = 0)) END,
       decode(md5('a' || id) || md5('b' || id), 'hex'), placed_at + interval '41.5 seconds'
FROM orders WHERE status <> 'pending';
INSERT INTO shipments (id, order_id, carrier, tracking, sent_at, delivered_on, delay, sender_address) OVERRIDING SYSTEM VALUE
SELECT row_number() OVER (ORDER BY id), id, pg_temp.pick(id, 73, ARRAY['Colissimo', 'Mondial Relay', 'Chronopost']),
       CASE WHEN id % 23 > 0 THEN '6A' || lpad(id::text, 11, '0') END, (placed_at AT TIME ZONE 'UTC') + interval '1 day 2:03:04.567',
       CASE WHEN status = 'delivered' THEN (placed_at AT TIME ZONE 'UTC')::date + 2 + pg_temp.h(id, 74, 5) END,
       make_interval(days => pg_temp.h(id, 75, 5), mins => pg_temp.h(id, 76, 1440)), ('192.0.2.' || pg_temp.h(id, 77, 255))::inet
FROM orders WHERE status IN ('delivered', 'shipped', 'refunded');
INSERT INTO returns (id, order_id, line_no, quantity, reason, created_at) OVERRIDING SYSTEM VALUE
SELECT row_number() OVER (ORDER BY id), id, 1, 1, pg_temp.pick(id, 78, ARRAY['Trop petit', 'Cassé à l’arrivée', NULL]), placed_at + interval '9 days'
FROM orders WHERE status = 'refunded' AND id % 3 = 0;

-- Everything around ------------------------------------------------------------------------------------------------------

INSERT INTO wishlists (id, customer_id, token) OVERRIDING SYSTEM VALUE
SELECT i, i * 4, md5('wish' || i)::uuid FROM generate_series(1, 3000) AS i;
INSERT INTO wishlist_items SELECT 1 + i % 3000, 1 + pg_temp.h(i, 80, 1201), pg_temp.ago(i, 81, 30000000)
FROM generate_series(1, 12000) AS i ON CONFLICT DO NOTHING;
INSERT INTO newsletter_subscriptions (id, email, locale, confirmed_at, source)
SELECT i, 'Lectrice' || i || '@Courriel.Example', 'fr', CASE WHEN i % 4 > 0 THEN pg_temp.ago(i, 82, 60000000) END,
       pg_temp.pick(i, 83, ARRAY[E'footer\tform', 'salon', NULL]) FROM generate_series(1, 6000) AS i;
INSERT INTO contact_messages (id, email, subject, body, handled, created_at)
SELECT md5('contact' || i)::uuid, 'cliente' || i || '@exemple.fr', 'Question n°' || i, repeat('Bonjour ! ', 1 + pg_temp.h(i, 84, 300)),
       i % 3 > 0, pg_temp.ago(i, 85, 30000000) FROM generate_series(1, 500) AS i;
INSERT INTO page_views
SELECT date_trunc('minute', pg_temp.ago(i / 2, 86, 2600000)), '/produit/' || pg_temp.h(i / 2, 87, 1200),
       CASE WHEN i % 6 = 0 THEN 4 + pg_temp.h(i / 2, 88, 11997) END, pg_temp.pick(i / 2, 89, ARRAY['Firefox', 'Safari', 'Chrome', NULL]),
       pg_temp.h(i / 2, 90, 9000), CASE pg_temp.h(i / 2, 91, 50) WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' WHEN 2 THEN '-0'
           ELSE pg_temp.h(i / 2, 92, 1000000) / 7.0 END::double precision
FROM generate_series(1, 60000) AS i;
INSERT INTO app_settings (key, value, raw, document) VALUES
    ('shop', '{"nom": "GirlyCrea", "devise": "EUR", "tva": 0.200}', '{"b": 1,  "a": [1.0, 1.00], "a": "deux fois"}', NULL),
    ('shipping', '{"france": 4.90, "europe": 9.90, "gratuit_dès": 60}', NULL, '<tarifs><zone code="FR">4.90</zone></tarifs>'),
    ('banner', '"Noël arrive 🎄"', '"Noël"', NULL), ('empty', 'null', NULL, NULL), ('', '[]', '[ ]', NULL),
    ('big', to_jsonb(repeat('0123456789', 20000)), NULL, NULL);
INSERT INTO "OrderTag" ("id", "Name", "colourHex", "order", "createdAt")
SELECT i, (ARRAY['Cadeau', 'Urgent', 'VIP', 'Fragile', 'Retour', 'Pro', 'B2B', 'Noël', 'Été', 'À relire', '"Test"', 'O''tag'])[i],
       '#' || substr(md5(i::text), 1, 6), CASE WHEN i < 10 THEN i END, timestamp '2025-01-01 10:00:00.123' + i * interval '1 day'
FROM generate_series(1, 12) AS i;
INSERT INTO "_OrderToOrderTag" SELECT 1000 + i * 3, 1 + pg_temp.h(i, 93, 12) FROM generate_series(0, 7999) AS i;
INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
SELECT md5('m' || i)::uuid::text, md5('c' || i) || md5('d' || i), '2025010' || i || '_init', timestamptz '2025-01-01 00:00+00' + i * interval '1 day',
       timestamptz '2025-01-01 00:01+00' + i * interval '1 day', 1 FROM generate_series(1, 7) AS i;

-- Every sequence goes on where its table ends.
SELECT setval('order_number_seq', 123999);
SELECT format('SELECT setval(%L, (SELECT max(%I) FROM %s))', s.oid::regclass, a.attname, a.attrelid::regclass)
FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE s.relkind = 'S' AND d.refobjsubid > 0 \gexec
COMMIT;
REFRESH MATERIALIZED VIEW sales_by_month;
ANALYZE;
