'use strict';
const os = require('os');

// Everything the shop can be told, from the environment and nowhere else.

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

function load() {
  const port = Number(process.env.PORT || 3000);
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new Error('PORT must be 1 to 65535');
  return {
    port,
    // Behind an edge on the same machine nothing else may reach the shop directly.
    host: process.env.HOST || '127.0.0.1',
    databaseURL: required('DATABASE_URL'),
    redisURL: required('REDIS_URL'),
    sessionSecret: required('SESSION_SECRET'),
    smtpURL: process.env.SMTP_URL || '',
    uploads: process.env.UPLOADS_DIR || '',
    instance: process.env.SHOP_INSTANCE || `${os.hostname()}-${port}`,
    production: process.env.NODE_ENV === 'production',
    sessionSeconds: 8 * 3600,
    cartSeconds: 7 * 24 * 3600,
  };
}

module.exports = { load };
