'use strict';
const passwords = require('./passwords');
const { problem } = require('./problems');

const attempts = 10;
const seconds = 300;

// The customer of that address and password, or an error. Only failures are counted, so that probes which log in every
// second are never locked out, and a guesser is after ten wrong guesses.
async function login(ctx, email, password, address) {
  if (typeof email !== 'string' || typeof password !== 'string' || email.length > 320 || password.length > 1000) {
    throw problem(401, 'bad_credentials');
  }
  const key = `rate:login:${address}:${email.toLowerCase()}`;
  if (Number(await ctx.redis.get(key)) >= attempts) throw problem(429, 'too_many_attempts');
  const found = (await ctx.db.query(
    'SELECT id::text AS id, email, display_name, password_hash, kind FROM customers WHERE email = $1', [email])).rows[0];
  const right = await passwords.verify(password, found ? found.password_hash : passwords.nobody);
  if (!found || !right) {
    await ctx.redis.multi().incr(key).expire(key, seconds).exec();
    throw problem(401, 'bad_credentials');
  }
  await ctx.db.query('UPDATE customers SET last_login_at = now() WHERE id = $1', [found.id]);
  return found;
}

module.exports = { login };
