'use strict';
// Prints some 21,000 Redis keys of every kind as RESP, for `redis-cli --pipe`. Values are always the same; times to live
// count from the moment of loading. Nothing here is newer than Redis 7.0.
const crypto = require('crypto');

const out = [];
function send(...parts) {
  out.push(Buffer.from(`*${parts.length}\r\n`));
  for (const part of parts) {
    const bytes = Buffer.isBuffer(part) ? part : Buffer.from(String(part));
    out.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
  }
}
let state = 20261121;
function upTo(n) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 4294967296) * n);
}
const id = (kind, n) => crypto.createHash('sha256').update(`${kind}${n}`).digest().subarray(0, 24).toString('base64url');
const hour = 3600;

for (let i = 0; i < 6000; i += 1) {
  send('SET', `sess:${id('s', i)}`, JSON.stringify({ id: String(4 + upTo(11997)), name: `Cliente ${i} é💖`,
    email: `cliente${i}@exemple.fr`, kind: 'person' }), 'EX', hour + upTo(7 * hour));
}
for (let i = 0; i < 4000; i += 1) {
  const key = `cart:${id('c', i)}`;
  const fields = [];
  for (let n = 0; n <= upTo(5); n += 1) fields.push(1 + upTo(3600), 1 + upTo(4));
  send('HSET', key, ...fields);
  send('EXPIRE', key, 24 * hour + upTo(6 * 24 * hour));
}
for (let i = 1; i <= 1201; i += 1) send('SET', `product:views:${i}`, upTo(100000));
for (let i = 1; i <= 3000; i += 1) {
  const key = `viewed:${i * 4}`;
  send('RPUSH', key, ...Array.from({ length: 1 + upTo(20) }, () => 1 + upTo(1201)));
  if (i % 3) send('EXPIRE', key, 30 * 24 * hour);
}
for (let i = 1; i <= 2500; i += 1) {
  const ids = Array.from({ length: 1 + upTo(12) }, () => 1 + upTo(1201));
  send('SADD', `wish:${i}`, ...(i % 2 ? ids : ids.map((n) => `produit-${n}`)));
}
for (let i = 0; i < 2200; i += 1) {
  // Bytes that are no text at all: what a cache of compressed pages looks like.
  const bytes = crypto.createHash('sha512').update(`page${i}`).digest();
  send('SET', `cache:page:${i}`, Buffer.concat(Array.from({ length: 1 + upTo(40) }, () => bytes)), 'PX', (hour + upTo(5 * hour)) * 1000 + 7);
}
for (let i = 0; i < 1500; i += 1) send('SET', `rate:login:192.0.2.${i % 250}:c${i}@exemple.fr`, 1 + upTo(9), 'EX', 30 + upTo(hour));
for (let m = 0; m < 24; m += 1) {
  const scores = [];
  for (let n = 0; n < 60 + m * 10; n += 1) scores.push((upTo(100000) / 7).toString(), `produit:${1 + upTo(1201)}`);
  send('ZADD', `bestsellers:${2024 + Math.floor(m / 12)}-${String(1 + (m % 12)).padStart(2, '0')}`, ...scores);
}
send('ZADD', 'scores:extremes', '-inf', 'least', '+inf', 'most', '0.1', 'tenth', '1e300', 'huge', '-0', 'zero');
send('GEOADD', 'shops:geo', 0.1562, 45.6484, 'Angoulême', 4.8357, 45.764, 'Lyon');
for (let d = 1; d <= 30; d += 1) {
  send('PFADD', `uv:2026-10-${String(d).padStart(2, '0')}`, ...Array.from({ length: 400 }, () => upTo(12000)));
  for (let n = 0; n < 10; n += 1) send('SETBIT', `active:2026-10-${String(d).padStart(2, '0')}`, upTo(12000), 1);
}
// Streams: mail and stock events, with groups, consumers, entries delivered but never acknowledged, deleted entries.
for (let s = 0; s < 12; s += 1) {
  const stream = s === 0 ? 'stream:mail' : `stream:stock:${s}`;
  for (let n = 1; n <= 200; n += 1) send('XADD', stream, `1790000000${String(n).padStart(3, '0')}-${n % 3}`, 'order', `GC-${n}`, 'type', n % 2 ? 'confirm' : 'ship é');
  send('XGROUP', 'CREATE', stream, 'workers', '0');
  send('XGROUP', 'CREATE', stream, 'audit group', '$');
  send('XGROUP', 'CREATECONSUMER', stream, 'workers', 'idle one');
  send('XREADGROUP', 'GROUP', 'workers', 'w1', 'COUNT', 25, 'STREAMS', stream, '>');
  send('XREADGROUP', 'GROUP', 'workers', 'w2', 'COUNT', 10, 'STREAMS', stream, '>');
  send('XACK', stream, 'workers', ...Array.from({ length: 8 }, (_, n) => `1790000000${String(n + 1).padStart(3, '0')}-${(n + 1) % 3}`));
  send('XDEL', stream, '1790000000030-0', '1790000000200-2');
}
// Names and sizes that break careless tools.
send('SET', Buffer.from([0xff, 0x00, 0x0d, 0x0a, 0x22]), Buffer.from([0, 255, 254, 10, 13]));
send('SET', 'clé avec espaces, "guillemets"\net retour', 'ça va ✨');
send('SET', '', 'the empty name');
send('SET', 'empty value', '');
send('SET', 'big:string', Buffer.alloc(1 << 20, 'girlycrea '));
for (let n = 0; n < 20000; n += 500) send('ZADD', 'big:zset', ...Array.from({ length: 500 }, (_, k) => [n + k, `member:${n + k}`]).flat());
for (let n = 0; n < 10000; n += 500) send('RPUSH', 'big:list', ...Array.from({ length: 500 }, (_, k) => `item ${n + k}`));
for (let n = 0; n < 10000; n += 500) send('HSET', 'big:hash', ...Array.from({ length: 500 }, (_, k) => [`f${n + k}`, upTo(1e6)]).flat());
send('SADD', 'big:set', ...Array.from({ length: 5000 }, (_, n) => `m${n}`));
send('SADD', 'ints', 1, 2, 3);
process.stdout.write(Buffer.concat(out));
