'use strict';
const { transaction } = require('./database');
const { problem } = require('./problems');

const columns = `o.id::text AS id, o.number, o.status, o.total, o.reference, o.placed_at AS "placedAt"`;

// Places an order for `lines` ([{variantId, quantity}]): order, lines, stock and payment in one transaction. With the
// same idempotency key again it answers with the order that is already there (`existing: true`).
async function place(ctx, customer, lines, { reference = null, key = null, method = 'carte' } = {}) {
  if (!Array.isArray(lines) || lines.length === 0) throw problem(409, 'empty_cart');
  // One order of locking for all, or two customers with crossed carts would deadlock.
  const sorted = [...lines].sort((a, b) => a.variantId - b.variantId);
  return transaction(ctx.db, async (db) => {
    const inserted = await db.query(
      `INSERT INTO orders (customer_id, status, reference, idempotency_key, shipping)
       SELECT $1, 'paid', $2, $3, coalesce((SELECT jsonb_build_object('street', a.street, 'postcode', a.postcode,
              'city', a.city, 'country', a.country) FROM addresses a WHERE a.customer_id = $1
              ORDER BY a.is_default DESC, a.id LIMIT 1), '{}')
       ON CONFLICT (customer_id, idempotency_key) DO NOTHING RETURNING id`, [customer.id, reference, key]);
    if (inserted.rows.length === 0) {
      const before = await db.query(`SELECT ${columns} FROM orders o WHERE customer_id = $1 AND idempotency_key = $2`,
        [customer.id, key]);
      return { order: before.rows[0], existing: true };
    }
    const id = inserted.rows[0].id;
    let number = 0;
    for (const line of sorted) {
      const taken = await db.query(
        'UPDATE stock SET quantity = quantity - $2 WHERE variant_id = $1 AND quantity >= $2', [line.variantId, line.quantity]);
      if (taken.rowCount === 0) throw problem(409, 'out_of_stock');
      number += 1;
      await db.query(
        `INSERT INTO order_lines (order_id, line_no, variant_id, quantity, unit_price)
         SELECT $1, $2, v.id, $4, p.price + v.surcharge FROM variants v JOIN products p ON p.id = v.product_id
         WHERE v.id = $3`, [id, number, line.variantId, line.quantity]);
    }
    const order = await db.query(`UPDATE orders o SET total = order_total(o.id) WHERE o.id = $1 RETURNING ${columns}`, [id]);
    await db.query('INSERT INTO payments (order_id, method, amount, paid_at) VALUES ($1, $2, $3, now())',
      [id, method, order.rows[0].total]);
    return { order: order.rows[0], existing: false };
  });
}

async function list(ctx, customer, limit = 50) {
  return (await ctx.db.query(
    `SELECT ${columns}, o.lines::int AS lines FROM customer_orders o WHERE o.customer_id = $1
     ORDER BY o.placed_at DESC, o.id DESC LIMIT $2`, [customer.id, limit])).rows;
}

async function find(ctx, customer, id, lang = 'fr') {
  if (!/^\d{1,18}$/.test(String(id))) throw problem(404, 'no_such_order');
  const order = (await ctx.db.query(`SELECT ${columns}, o.shipping FROM orders o WHERE o.id = $1 AND o.customer_id = $2`,
    [id, customer.id])).rows[0];
  if (!order) throw problem(404, 'no_such_order');
  const lines = await ctx.db.query(
    `SELECT l.line_no AS "lineNo", v.sku, v.label, p.slug, p.name_fr, p.name_en, l.quantity, l.unit_price AS "unitPrice",
            l.line_total AS amount
     FROM order_lines l JOIN variants v ON v.id = l.variant_id JOIN products p ON p.id = v.product_id
     WHERE l.order_id = $1 ORDER BY l.line_no`, [id]);
  order.lines = lines.rows.map(({ name_fr: fr, name_en: en, ...r }) => ({ ...r, name: lang === 'en' ? en : fr }));
  return order;
}

// The customer's own orders whose reference starts with `prefix`; all of them without one.
async function count(ctx, customer, prefix = '') {
  return (await ctx.db.query(
    `SELECT count(*)::int AS n FROM orders WHERE customer_id = $1 AND starts_with(coalesce(reference, ''), $2)`,
    [customer.id, prefix])).rows[0].n;
}

// Only for the probe's own orders: a person's order is never deleted. Stock goes back.
async function remove(ctx, customer, id) {
  if (customer.kind !== 'smoke') throw problem(403, 'not_deletable');
  if (!/^\d{1,18}$/.test(String(id))) throw problem(404, 'no_such_order');
  await transaction(ctx.db, async (db) => {
    const owned = await db.query('SELECT 1 FROM orders WHERE id = $1 AND customer_id = $2 FOR UPDATE', [id, customer.id]);
    if (owned.rows.length === 0) throw problem(404, 'no_such_order');
    await db.query(
      `UPDATE stock s SET quantity = s.quantity + l.quantity
       FROM (SELECT variant_id, sum(quantity)::int AS quantity FROM order_lines WHERE order_id = $1 GROUP BY 1) l
       WHERE s.variant_id = l.variant_id`, [id]);
    await db.query('DELETE FROM orders WHERE id = $1', [id]);
  });
}

module.exports = { place, list, find, count, remove };
