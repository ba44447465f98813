'use strict';
// node uploads.js DIR: writes 200 small images under DIR, always the same, and prints one line a file for
// COPY uploads (id, path, mime, bytes, sha256, created_at).
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const zlib = require('zlib');

const root = process.argv[2];
const palettes = [['#f9c6dd', '#d6397e'], ['#d9c8f5', '#7b4fc9'], ['#c9f0e1', '#23855b'], ['#ffdcc8', '#e8743b'],
  ['#fff3d6', '#c99a1c'], ['#ffc9c4', '#d13b2e'], ['#c8d6f5', '#22346b'], ['#f5ead0', '#a67c2d'], ['#dbe8d3', '#5c7f4c'],
  ['#f2d3c4', '#a8502c']];

function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
}

function drawing(n) {
  const [light, dark] = palettes[n % palettes.length];
  const next = random(n * 7919 + 1);
  const at = (low, high) => Math.round(low + next() * (high - low));
  let shapes = '';
  for (let i = 0; i < 7; i += 1) {
    const [x, y, r] = [at(20, 300), at(20, 300), at(14, 60)];
    const opacity = (0.15 + next() * 0.4).toFixed(2);
    shapes += i % 2 ? `<circle cx="${x}" cy="${y}" r="${r}" fill="${dark}" opacity="${opacity}"/>`
      : `<path d="M${x} ${y}q${r} ${-r} ${r * 2} 0q${-r} ${r} ${-r * 2} 0z" fill="#fff" opacity="${opacity}"/>`;
  }
  let petals = '';
  const count = at(5, 9);
  for (let i = 0; i < count; i += 1) {
    petals += `<ellipse cx="160" cy="115" rx="${at(18, 26)}" ry="46" fill="${dark}" opacity="0.85" `
      + `transform="rotate(${Math.round(360 * i / count)} 160 160)"/>`;
  }
  return Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="320" height="320" viewBox="0 0 320 320">'
    + `<rect width="320" height="320" fill="${light}"/>${shapes}${petals}<circle cx="160" cy="160" r="24" fill="#fff"/></svg>\n`);
}

function crc(buffer) {
  let c = ~0;
  for (const byte of buffer) {
    c ^= byte;
    for (let k = 0; k < 8; k += 1) c = (c >>> 1) ^ (0xedb88320 & -(c & 1));
  }
  return ~c >>> 0;
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc(body), body.length + 4);
  return out;
}

// Stored, not compressed: another zlib would compress the same picture to other bytes.
function photo(n) {
  const size = 48;
  const next = random(n + 99);
  const rows = Buffer.alloc(size * (1 + size * 3));
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size * 3; x += 1) rows[y * (1 + size * 3) + 1 + x] = (x * n + y * 3 + next() * 40) & 255;
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), chunk('IHDR', header),
    chunk('IDAT', zlib.deflateSync(rows, { level: 0 })), chunk('IEND', Buffer.alloc(0))]);
}

const files = [];
for (let n = 1; n <= 180; n += 1) files.push([`produits/${String(n).padStart(4, '0')}.svg`, 'image/svg+xml', drawing(n)]);
for (let n = 1; n <= 18; n += 1) files.push([`avis/2026/photo ${n}.png`, 'image/png', photo(n)]);
files.push(['avis/2026/été à la plage.png', 'image/png', photo(19)], ['avis/2026/%41 & co.png', 'image/png', photo(20)]);
for (const [name, mime, bytes] of files) {
  const file = path.join(root, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, bytes);
  const hash = crypto.createHash('sha256').update(bytes).digest('hex');
  const id = crypto.createHash('md5').update(`upload ${name}`).digest('hex');
  process.stdout.write(`${[id, name, mime, bytes.length, `\\\\x${hash}`, '2026-10-01 09:00:00+00'].join('\t')}\n`);
}
