'use strict';
const { createClient } = require('redis');

async function open(config) {
  const client = createClient({
    url: config.redisURL,
    name: config.instance.replace(/[^A-Za-z0-9_.-]/g, '-'),
    socket: { connectTimeout: 3000, reconnectStrategy: (retries) => Math.min(50 * 2 ** Math.min(retries, 6), 2000) },
    // Without it a request would wait for ever while Redis is away.
    disableOfflineQueue: true,
  });
  let down = false;
  client.on('error', (error) => {
    if (!down) console.error(`redis: ${error.message || error.code}`);
    down = true;
  });
  client.on('ready', () => {
    if (down) console.error('redis: back');
    down = false;
  });
  // The shop starts without Redis too, and says so in /healthz.
  client.connect().catch(() => {});
  const deadline = Date.now() + 2000;
  while (!client.isReady && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
  return client;
}

function isUnavailable(error) {
  const name = error && error.constructor && error.constructor.name;
  return ['ClientOfflineError', 'ClientClosedError', 'SocketClosedUnexpectedlyError', 'DisconnectsClientError',
    'ConnectionTimeoutError', 'AbortError'].includes(name)
    || /^(READONLY|LOADING|NOPERM|NOAUTH|WRONGPASS|OOM|MASTERDOWN)/.test(String(error && error.message));
}

module.exports = { open, isUnavailable };
