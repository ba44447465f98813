'use strict';
const { wrap } = require('../lib/problems');

async function timed(work) {
  const start = process.hrtime.bigint();
  let deadline;
  try {
    const late = new Promise((_, reject) => {
      deadline = setTimeout(() => reject(new Error('no answer within 2 s')), 2000);
    });
    const version = await Promise.race([work(), late]);
    return { ok: true, version, ms: Number(process.hrtime.bigint() - start) / 1e6 };
  } catch (error) {
    return { ok: false, error: error.code || error.message };
  } finally {
    clearTimeout(deadline);
  }
}

// 200 only when this instance can serve: both stores answer and it is not on its way out.
module.exports = (ctx) => wrap(async (req, res) => {
  const [database, redis] = await Promise.all([
    timed(async () => (await ctx.db.query(
      `SELECT current_setting('server_version') AS v FROM app_settings WHERE key = 'shop'`)).rows[0].v),
    timed(async () => /redis_version:(\S+)/.exec(await ctx.redis.info('server'))[1]),
  ]);
  const ok = database.ok && redis.ok && !ctx.stopping;
  res.set('Cache-Control', 'no-store');
  res.status(ok ? 200 : 503).json({
    ok, instance: ctx.config.instance, stopping: ctx.stopping, node: process.version, database, redis,
  });
});
