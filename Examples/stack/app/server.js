'use strict';
// A guest book: as little as uses everything that the stack gives. It runs in any number of instances.
const http = require('http');
const { Pool } = require('pg');
const redis = require('redis');

const database = new Pool({ connectionString: process.env.DATABASE_URL, max: 5 });
const cache = redis.createClient({ url: process.env.CACHE_URL });
const served = { 200: 0, 404: 0, 500: 0 };
let stopping = false;

// Idle connections may end: PostgreSQL restarts, PgBouncer closes what nobody uses. The next query opens another.
database.on('error', (error) => console.error(`database: ${error.message}`));
cache.on('error', (error) => console.error(`cache: ${error.message}`));

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString().slice(0, 500);
}

const routes = {
  'GET /': async () => {
    const cached = await cache.get('entries');
    if (cached !== null) return cached;
    const { rows } = await database.query('SELECT text FROM entries ORDER BY id DESC LIMIT 20');
    const page = rows.map((row) => row.text).join('\n') + '\n';
    await cache.set('entries', page, { EX: 10 });
    return page;
  },
  'POST /': async (request) => {
    await database.query('INSERT INTO entries (text) VALUES ($1)', [await body(request)]);
    await cache.del('entries');
    return 'thank you\n';
  },
  'GET /healthz': async () => {
    await Promise.all([database.query('SELECT 1'), cache.ping()]);
    return 'ok\n';
  },
  'GET /metrics': async () => '# TYPE app_requests_total counter\n'
    + Object.entries(served).map(([status, count]) => `app_requests_total{status="${status}"} ${count}\n`).join(''),
  // What an error of the app looks like in the journal, in the metrics and in `bascule errors`.
  'GET /boom': async () => { throw new TypeError('the cart is not a cart'); },
};

async function answer(request, response) {
  let [status, text] = [200, ''];
  try {
    const route = routes[`${request.method} ${new URL(request.url, 'http://localhost').pathname}`];
    [status, text] = route ? [200, await route(request)] : [404, 'not found\n'];
  } catch (error) {
    console.error(error.stack);
    [status, text] = [500, 'internal error\n'];
  }
  served[status] += 1;
  // Asks kept-alive connections to go elsewhere while this instance drains.
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', ...(stopping && { Connection: 'close' }) });
  response.end(text);
}

async function main() {
  await cache.connect();
  await database.query('CREATE TABLE IF NOT EXISTS entries (id bigserial PRIMARY KEY, text text NOT NULL)')
    // Two instances that start at once: one of them made it.
    .catch((error) => { if (error.code !== '23505') throw error; });
  const server = http.createServer(answer);
  // Longer than Nginx keeps its idle connections (60 s), so that it is never Node.js who closes one in use.
  server.keepAliveTimeout = 65000;
  server.listen(Number(process.env.PORT), process.env.HOST);
  process.on('SIGTERM', () => {
    stopping = true;
    server.close(async () => { await database.end(); await cache.quit(); process.exit(0); });
    setInterval(() => server.closeIdleConnections(), 100).unref();
  });
}

main().catch((error) => { console.error(error.stack); process.exit(1); });
