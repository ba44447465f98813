'use strict';
const path = require('path');
const express = require('express');
const config = require('./lib/config').load();
const database = require('./lib/database');
const store = require('./lib/store');
const mail = require('./lib/mail');
const { Sessions, cookie } = require('./lib/sessions');
const api = require('./routes/api');
const health = require('./routes/health');
const pages = require('./routes/pages');

function language(req, res, next) {
  const asked = String(req.query.lang || '');
  if (asked === 'fr' || asked === 'en') {
    res.append('Set-Cookie', `lang=${asked}; Path=/; SameSite=Lax; Max-Age=31536000`);
    req.lang = asked;
  } else {
    req.lang = cookie(req, 'lang') === 'en' ? 'en' : 'fr';
  }
  next();
}

function build(ctx) {
  const app = express();
  app.disable('x-powered-by');
  // Only the edge on this machine may say who the customer is and whether they came over TLS.
  app.set('trust proxy', 'loopback');
  app.use((req, res, next) => {
    res.set({
      'X-Served-By': config.instance,
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'same-origin',
      'Content-Security-Policy': "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        + "base-uri 'none'; frame-ancestors 'none'",
    });
    // Ask kept-alive connections to go elsewhere while this instance drains.
    if (ctx.stopping) res.set('Connection', 'close');
    next();
  });
  app.get('/healthz', health(ctx));
  app.use('/static', express.static(path.join(__dirname, 'public'), { maxAge: '1h', index: false }));
  if (config.uploads) {
    app.use('/uploads', express.static(config.uploads, { maxAge: '1d', index: false, fallthrough: true }));
  }
  app.use(language, ctx.sessions.middleware());
  app.use('/api', api(ctx));
  app.use(pages(ctx));
  // eslint-disable-next-line no-unused-vars -- express tells error handlers by their four arguments
  app.use((error, req, res, next) => {
    let status = error.status || 500;
    let code = error.problem || (status < 500 ? 'bad_request' : 'internal');
    if (!error.problem && (database.isUnavailable(error) || store.isUnavailable(error))) {
      [status, code] = [503, 'unavailable'];
      res.set('Retry-After', '5');
    }
    if (status >= 500) console.error(`${req.method} ${req.path}: ${status} ${error.code || ''} ${error.message}`);
    if (res.headersSent) return res.destroy();
    if (req.originalUrl.startsWith('/api/')) return res.status(status).json({ error: code });
    return pages.failure(ctx, req, res, status, code);
  });
  return app;
}

async function main() {
  const ctx = { config, stopping: false, db: database.open(config), redis: await store.open(config) };
  ctx.mail = mail.open(config);
  ctx.sessions = new Sessions(config, ctx.redis);
  const server = build(ctx).listen(config.port, config.host, () => {
    console.log(`${config.instance}: listening on ${config.host}:${config.port}, Node.js ${process.version}`);
  });
  // Longer than Nginx keeps its idle upstream connections (60 s), so that it is never Node.js who closes one in use.
  server.keepAliveTimeout = 65000;
  server.headersTimeout = 66000;
  server.on('error', (error) => {
    console.error(`cannot listen on ${config.host}:${config.port}: ${error.code}`);
    process.exit(1);
  });

  // Stop accepting, finish what runs, close the pools, leave; and never take more than 5 seconds over it.
  const stop = (signal) => {
    if (ctx.stopping) return;
    ctx.stopping = true;
    console.log(`${config.instance}: ${signal}, draining`);
    setTimeout(() => process.exit(1), 4800).unref();
    server.close(async () => {
      ctx.mail.close();
      await Promise.allSettled([ctx.db.end(), ctx.redis.isOpen ? ctx.redis.quit() : undefined]);
      process.exit(0);
    });
    const idle = setInterval(() => server.closeIdleConnections(), 100);
    idle.unref();
    server.closeIdleConnections();
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
