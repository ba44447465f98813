'use strict';
const { Pool } = require('pg');

// The URL may lead through PgBouncer 1.18 in transaction mode: only unnamed statements (no `name` in a query), no SET,
// no LISTEN, no advisory locks, and nothing in the start-up packet that the pooler would refuse.
function open(config) {
  const pool = new Pool({
    connectionString: config.databaseURL,
    application_name: config.instance,
    max: 8,
    idleTimeoutMillis: 30000,
    connectionTimeoutMillis: 3000,
    // Counted by the client: as a server setting it would be session state.
    query_timeout: 10000,
  });
  // An idle connection that the server closes must not end the process.
  pool.on('error', (error) => console.error(`database: idle connection lost: ${error.message}`));
  return pool;
}

// Runs `work` in one transaction on one connection; whatever it throws rolls everything back.
async function transaction(pool, work) {
  const client = await pool.connect();
  let broken;
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    try {
      await client.query('ROLLBACK');
    } catch (second) {
      broken = second;
    }
    throw error;
  } finally {
    client.release(broken);
  }
}

// What a fenced, stopped, restarted or unreachable database answers: the customer is told to come back, not that the
// shop is broken. 42501 = right revoked, 25006 = read-only, 57P0x = shut down, 08xxx = connection, 53xxx = resources.
function isUnavailable(error) {
  const code = error && error.code;
  if (typeof code !== 'string') return /timeout|terminated|Connection/i.test(String(error && error.message));
  return code === '42501' || code === '25006' || code === '28000' || code === '28P01' || /^(57P|08|53)/.test(code)
    || ['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EPIPE', 'ENOTFOUND', 'EHOSTUNREACH'].includes(code);
}

module.exports = { open, transaction, isUnavailable };
