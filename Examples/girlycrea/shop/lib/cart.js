'use strict';
const { problem } = require('./problems');

// A cart is a hash in Redis, `cart:SESSION`, variant id → quantity, forgotten a week after its last change.
const largest = 50;

async function add(ctx, sid, variantId, quantity) {
  const variant = Number(variantId);
  const many = Number(quantity);
  if (!Number.isInteger(variant) || variant < 1 || variant > 2147483647) throw problem(400, 'bad_variant');
  if (!Number.isInteger(many) || many < 1 || many > largest) throw problem(400, 'bad_quantity');
  const known = await ctx.db.query(
    `SELECT 1 FROM variants v JOIN products p ON p.id = v.product_id WHERE v.id = $1 AND p.status = 'published'`,
    [variant]);
  if (known.rows.length === 0) throw problem(404, 'no_such_variant');
  const key = `cart:${sid}`;
  const [now] = await ctx.redis.multi().hIncrBy(key, String(variant), many).expire(key, ctx.config.cartSeconds).exec();
  if (now > largest) await ctx.redis.hSet(key, String(variant), String(largest));
}

async function remove(ctx, sid, variantId) {
  if (sid) await ctx.redis.hDel(`cart:${sid}`, String(variantId));
}

async function clear(ctx, sid) {
  if (sid) await ctx.redis.del(`cart:${sid}`);
}

// The cart with today's names and prices.
async function show(ctx, sid, lang = 'fr') {
  const stored = sid ? await ctx.redis.hGetAll(`cart:${sid}`) : {};
  const ids = Object.keys(stored).map(Number).filter(Number.isInteger);
  if (ids.length === 0) return { lines: [], total: '0.00', count: 0 };
  const rows = (await ctx.db.query(
    `SELECT v.id, v.sku, v.label, p.slug, p.name_fr, p.name_en, s.quantity AS stock, q.quantity,
            (p.price + v.surcharge)::numeric(12,2) AS price,
            ((p.price + v.surcharge) * q.quantity)::numeric(12,2) AS amount,
            (sum((p.price + v.surcharge) * q.quantity) OVER ())::numeric(12,2) AS total
     FROM unnest($1::int[], $2::int[]) AS q (id, quantity)
     JOIN variants v ON v.id = q.id JOIN products p ON p.id = v.product_id JOIN stock s ON s.variant_id = v.id
     ORDER BY v.id`, [ids, ids.map((id) => Number(stored[id]))])).rows;
  return {
    lines: rows.map((r) => ({
      variantId: r.id, sku: r.sku, slug: r.slug, name: lang === 'en' ? r.name_en : r.name_fr, label: r.label,
      quantity: r.quantity, price: r.price, amount: r.amount, stock: r.stock,
    })),
    total: rows.length ? rows[0].total : '0.00',
    count: rows.reduce((sum, r) => sum + r.quantity, 0),
  };
}

module.exports = { add, remove, clear, show };
