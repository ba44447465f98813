'use strict';
const express = require('express');
const catalogue = require('../lib/catalogue');
const cart = require('../lib/cart');
const orders = require('../lib/orders');
const { login } = require('../lib/login');
const { problem, wrap } = require('../lib/problems');

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

// JSON under /api. The session is the cookie, or `Authorization: Bearer TOKEN` with the token that login answers.
module.exports = (ctx) => {
  const api = express.Router();
  api.use((req, res, next) => {
    res.set('Cache-Control', 'no-store');
    // A form of a foreign page cannot send JSON: with the cookie's SameSite this keeps forgeries out.
    const writes = !['GET', 'HEAD', 'DELETE'].includes(req.method);
    next(writes && !req.is('application/json') ? problem(415, 'json_only') : undefined);
  });
  api.use(express.json({ limit: '64kb' }));
  const customer = (req) => {
    if (!req.customer) throw problem(401, 'login_required');
    return req.customer;
  };

  api.get('/products', wrap(async (req, res) => {
    const { category = '', q = '' } = req.query;
    const page = Math.min(Math.max(parseInt(req.query.page, 10) || 1, 1), 10000);
    res.json(await catalogue.list(ctx.db, { category: String(category), q: String(q), page, lang: req.lang }));
  }));
  api.get('/products/:slug', wrap(async (req, res) => {
    const product = await catalogue.product(ctx.db, req.params.slug, req.lang);
    if (!product) throw problem(404, 'no_such_product');
    res.json({ product });
  }));

  api.post('/login', wrap(async (req, res) => {
    const found = await login(ctx, req.body.email, req.body.password, req.ip);
    const token = await ctx.sessions.login(req, res, found);
    res.json({ token, customer: req.customer });
  }));
  api.post('/logout', wrap(async (req, res) => {
    await ctx.sessions.logout(req, res);
    res.status(204).end();
  }));
  api.get('/account', wrap(async (req, res) => res.json({ customer: customer(req) })));

  api.get('/cart', wrap(async (req, res) => res.json(await cart.show(ctx, req.sid, req.lang))));
  api.post('/cart', wrap(async (req, res) => {
    const sid = ctx.sessions.ensure(req, res);
    await cart.add(ctx, sid, req.body.variantId, req.body.quantity === undefined ? 1 : req.body.quantity);
    res.json(await cart.show(ctx, sid, req.lang));
  }));
  api.delete('/cart', wrap(async (req, res) => {
    await cart.clear(ctx, req.sid);
    res.status(204).end();
  }));

  api.post('/orders', wrap(async (req, res) => {
    const buyer = customer(req);
    const text = (value, max) => (value === undefined || value === null ? null : String(value).slice(0, max));
    const content = await cart.show(ctx, req.sid);
    const key = text(req.get('idempotency-key') || req.body.key, 100);
    const placed = await orders.place(ctx, buyer, content.lines, { reference: text(req.body.reference, 80), key });
    await cart.clear(ctx, req.sid);
    if (!placed.existing) ctx.mail.confirm(buyer, placed.order);
    res.status(placed.existing ? 200 : 201).json(placed);
  }));
  api.get('/orders', wrap(async (req, res) => res.json({ orders: await orders.list(ctx, customer(req)) })));
  api.get('/orders/count', wrap(async (req, res) => {
    res.json({ count: await orders.count(ctx, customer(req), String(req.query.reference || '')) });
  }));
  api.get('/orders/:id', wrap(async (req, res) => {
    res.json({ order: await orders.find(ctx, customer(req), req.params.id, req.lang) });
  }));
  api.delete('/orders/:id', wrap(async (req, res) => {
    await orders.remove(ctx, customer(req), req.params.id);
    res.status(204).end();
  }));

  // A message to the shop. Its id is the receipt: whoever holds it can look it up and withdraw it.
  api.post('/contact', wrap(async (req, res) => {
    const { email, subject, body, reference = null } = req.body;
    if (![email, subject, body].every((x) => typeof x === 'string' && x.length > 0 && x.length <= 10000)) {
      throw problem(400, 'bad_message');
    }
    const saved = await ctx.db.query(
      `INSERT INTO contact_messages (email, subject, body, reference) VALUES ($1, $2, $3, $4)
       RETURNING id, created_at AS "createdAt"`, [email, subject, body, reference]);
    res.status(201).json({ message: saved.rows[0] });
  }));
  api.get('/contact/:id', wrap(async (req, res) => {
    if (!uuid.test(req.params.id)) throw problem(404, 'no_such_message');
    const found = await ctx.db.query(
      'SELECT id, subject, handled, created_at AS "createdAt" FROM contact_messages WHERE id = $1', [req.params.id]);
    if (found.rows.length === 0) throw problem(404, 'no_such_message');
    res.json({ message: found.rows[0] });
  }));
  api.delete('/contact/:id', wrap(async (req, res) => {
    if (!uuid.test(req.params.id)) throw problem(404, 'no_such_message');
    const gone = await ctx.db.query('DELETE FROM contact_messages WHERE id = $1 AND NOT handled', [req.params.id]);
    if (gone.rowCount === 0) throw problem(404, 'no_such_message');
    res.status(204).end();
  }));
  api.use((req, res, next) => next(problem(404, 'not_found')));
  return api;
};
