-- A shop of :orders orders with three lines each, deterministic. Rows: 4 times :orders, and a tenth more.
SET ROLE shop;
SET synchronous_commit = off;

CREATE TABLE customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL UNIQUE,
    name text NOT NULL,
    settings jsonb NOT NULL,
    created timestamptz NOT NULL
);
CREATE TABLE products (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku text NOT NULL UNIQUE,
    title text NOT NULL,
    description text NOT NULL,
    price numeric(10, 2) NOT NULL
);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reference uuid NOT NULL UNIQUE,
    customer bigint NOT NULL REFERENCES customers,
    placed timestamptz NOT NULL,
    total numeric(12, 2) NOT NULL,
    state text NOT NULL,
    note text
);
CREATE TABLE lines (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "order" bigint NOT NULL REFERENCES orders,
    product bigint NOT NULL REFERENCES products,
    quantity integer NOT NULL,
    price numeric(10, 2) NOT NULL
);

INSERT INTO customers (email, name, settings, created)
SELECT format('customer%s@shop.example', i), 'Customer ' || md5(i::text),
    jsonb_build_object('newsletter', i % 3 = 0, 'language', (ARRAY['fr', 'en', 'de'])[i % 3 + 1], 'visits', i % 97),
    timestamptz '2024-01-01 00:00+00' + i * interval '17 seconds'
FROM generate_series(1, :orders / 3) i;
INSERT INTO products (sku, title, description, price)
SELECT 'SKU-' || lpad(i::text, 8, '0'), 'Product ' || i, repeat(md5(i::text) || ' ', 6), (i % 9973) / 100.0 + 1
FROM generate_series(1, :orders / 50) i;
INSERT INTO orders (reference, customer, placed, total, state, note)
SELECT md5('order' || i)::uuid, i % (:orders / 3) + 1, timestamptz '2025-01-01 00:00+00' + i * interval '41 seconds',
    (i % 19997) / 100.0, (ARRAY['paid', 'sent', 'delivered', 'returned'])[i % 4 + 1],
    CASE WHEN i % 5 = 0 THEN 'Leave it with the neighbour, ' || md5(i::text) END
FROM generate_series(1, :orders) i;
INSERT INTO lines ("order", product, quantity, price)
SELECT i / 3 + 1, i % (:orders / 50) + 1, i % 7 + 1, (i % 9973) / 100.0 + 1
FROM generate_series(0, 3 * :orders - 1) i;

CREATE INDEX orders_customer ON orders (customer, placed);
CREATE INDEX orders_placed ON orders (placed);
CREATE INDEX orders_open ON orders (state) WHERE state <> 'delivered';
CREATE INDEX lines_order ON lines ("order");
CREATE INDEX lines_product ON lines (product);
CREATE INDEX customers_name ON customers (lower(name));
