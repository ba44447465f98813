'use strict';
const crypto = require('crypto');
const { promisify } = require('util');
const scrypt = promisify(crypto.scrypt);

// 2^14 is what Node.js and OWASP's floor agree on that still leaves a small VPS room to answer: about 50 ms.
const cost = { N: 16384, r: 8, p: 1 };

// `scrypt$N$r$p$salt$hash`, salt and hash in base64: portable between servers, as it carries its own parameters.
async function hash(password, salt = crypto.randomBytes(16)) {
  const key = await scrypt(password.normalize('NFKC'), salt, 32, cost);
  return ['scrypt', cost.N, cost.r, cost.p, salt.toString('base64'), key.toString('base64')].join('$');
}

async function verify(password, stored) {
  const [scheme, N, r, p, salt, expected] = String(stored).split('$');
  if (scheme !== 'scrypt' || !expected) return false;
  const wanted = Buffer.from(expected, 'base64');
  const parameters = { N: Number(N), r: Number(r), p: Number(p) };
  const key = await scrypt(String(password).normalize('NFKC'), Buffer.from(salt, 'base64'), wanted.length, parameters);
  return crypto.timingSafeEqual(key, wanted);
}

// Compared against when nobody has that address, so that the time taken does not tell who is a customer.
const nobody = 'scrypt$16384$8$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=';

module.exports = { hash, verify, nobody };
