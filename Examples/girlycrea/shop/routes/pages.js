'use strict';
const crypto = require('crypto');
const express = require('express');
const catalogue = require('../lib/catalogue');
const cart = require('../lib/cart');
const orders = require('../lib/orders');
const { login } = require('../lib/login');
const { problem, wrap } = require('../lib/problems');
const { say } = require('../lib/texts');
const { layout } = require('../views/layout');
const pages = require('../views/pages');

// What every page needs to know of its visitor.
function view(ctx, req, more = {}) {
  return {
    lang: req.lang, t: say(req.lang), customer: req.customer, instance: ctx.config.instance,
    csrf: ctx.sessions.csrf(req), q: '', category: '', ...more,
  };
}

module.exports = (ctx) => {
  const site = express.Router();
  site.use(express.urlencoded({ extended: false, limit: '16kb' }));
  site.use((req, res, next) => {
    res.set('Cache-Control', 'private, no-cache');
    ctx.sessions.ensure(req, res);
    if (req.method === 'POST' && !ctx.sessions.checkForm(req)) return next(problem(403, 'form_expired'));
    return next();
  });
  const show = (res, v, title, body, status = 200) => res.status(status).type('html').send(layout(v, title, body));
  const needLogin = (req, res) => {
    if (req.customer) return false;
    res.redirect(303, `/connexion?next=${encodeURIComponent(req.path)}`);
    return true;
  };

  site.get('/', wrap(async (req, res) => {
    const category = String(req.query.c || '');
    const q = String(req.query.q || '').slice(0, 200);
    const page = Math.min(Math.max(parseInt(req.query.page, 10) || 1, 1), 10000);
    const [found, categories] = await Promise.all([
      catalogue.list(ctx.db, { category, q, page, lang: req.lang }), catalogue.categories(ctx.db)]);
    const v = view(ctx, req, { category, q });
    show(res, v, '', pages.home(v, found, categories));
  }));
  site.get('/produit/:slug', wrap(async (req, res) => {
    const product = await catalogue.product(ctx.db, req.params.slug, req.lang);
    if (!product) throw problem(404, 'no_such_product');
    // Statistics may fail; the page may not.
    ctx.redis.incr(`product:views:${product.id}`).catch(() => {});
    const v = view(ctx, req);
    show(res, v, product.name, pages.product(v, product));
  }));

  site.get('/panier', wrap(async (req, res) => {
    const v = view(ctx, req, { orderKey: crypto.randomUUID() });
    show(res, v, v.t.cart, pages.cart(v, await cart.show(ctx, req.sid, req.lang)));
  }));
  site.post('/panier', wrap(async (req, res) => {
    await cart.add(ctx, req.sid, req.body.variantId, req.body.quantity || 1);
    res.redirect(303, '/panier');
  }));
  site.post('/panier/retirer', wrap(async (req, res) => {
    await cart.remove(ctx, req.sid, req.body.variantId);
    res.redirect(303, '/panier');
  }));

  site.get('/connexion', wrap(async (req, res) => {
    const v = view(ctx, req);
    show(res, v, v.t.login, pages.login(v, String(req.query.next || '')));
  }));
  site.post('/connexion', wrap(async (req, res) => {
    // Only a path of our own: never a redirect to somewhere else.
    const next = /^\/[a-z0-9/]*$/.test(req.body.next || '') && !req.body.next.startsWith('//') ? req.body.next : '/compte';
    try {
      const found = await login(ctx, req.body.email, req.body.password, req.ip);
      await ctx.sessions.login(req, res, found);
    } catch (error) {
      if (!error.problem) throw error;
      const v = view(ctx, req, { problem: say(req.lang).problems[error.problem] });
      return show(res, v, v.t.login, pages.login(v, next), error.status);
    }
    return res.redirect(303, next);
  }));
  site.post('/deconnexion', wrap(async (req, res) => {
    await ctx.sessions.logout(req, res);
    res.redirect(303, '/');
  }));

  site.get('/compte', wrap(async (req, res) => {
    if (needLogin(req, res)) return;
    const v = view(ctx, req);
    show(res, v, v.t.account, pages.account(v, await orders.list(ctx, req.customer)));
  }));
  site.post('/commandes', wrap(async (req, res) => {
    if (!req.customer) throw problem(401, 'login_required');
    const content = await cart.show(ctx, req.sid);
    const reference = String(req.body.reference || '').slice(0, 80) || null;
    const key = String(req.body.key || '').slice(0, 100) || null;
    const placed = await orders.place(ctx, req.customer, content.lines, { reference, key });
    await cart.clear(ctx, req.sid);
    if (!placed.existing) ctx.mail.confirm(req.customer, placed.order);
    res.redirect(303, `/commandes/${placed.order.id}?merci`);
  }));
  site.get('/commandes/:id', wrap(async (req, res) => {
    if (needLogin(req, res)) return;
    const found = await orders.find(ctx, req.customer, req.params.id, req.lang);
    const v = view(ctx, req);
    show(res, v, found.number, pages.order(v, found, req.query.merci !== undefined));
  }));
  site.use((req, res, next) => next(problem(404, 'not_found')));
  return site;
};

module.exports.failure = (ctx, req, res, status, code) => {
  const v = view(ctx, { ...req, lang: req.lang || 'fr', customer: req.customer || null, sid: req.sid || null });
  const words = v.t.problems[code] || v.t.problems.internal;
  res.status(status).type('html').send(layout(v, v.t.error, pages.failure(v, words)));
};
