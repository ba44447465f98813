'use strict';
// Prints a PostgreSQL array of password hashes: first the probes' and Camille's, then 15 that the other customers share.
// Salts are derived, not random, so that the seed is the same every time. Demo data only.
const crypto = require('crypto');
const path = require('path');
const { hash } = require(path.join(process.argv[2] || path.join(__dirname, '..', 'shop'), 'lib', 'passwords.js'));

const salt = (i) => crypto.createHash('sha256').update(`girlycrea salt ${i}`).digest().subarray(0, 16);

Promise.all(Array.from({ length: 16 }, (_, i) => hash(i === 0 ? 'girlycrea-demo' : `girlycrea-${i}`, salt(i))))
  .then((hashes) => process.stdout.write(`{${hashes.join(',')}}`));
