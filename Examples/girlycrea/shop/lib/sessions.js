'use strict';
const crypto = require('crypto');

// A session id is 24 random bytes and a signature. Visitors get one with their first page; something is stored in Redis
// (`sess:ID`) only once they log in. The signing secret moves with the shop, so nobody is logged out by a migration.
class Sessions {
  constructor(config, redis) {
    this.config = config;
    this.redis = redis;
  }

  sign(id, purpose = 'sid') {
    return crypto.createHmac('sha256', this.config.sessionSecret).update(`${purpose}:${id}`).digest('base64url');
  }

  read(token) {
    const [id, signature] = String(token || '').split('.');
    if (!id || !signature) return null;
    const expected = Buffer.from(this.sign(id));
    const given = Buffer.from(signature);
    return given.length === expected.length && crypto.timingSafeEqual(given, expected) ? id : null;
  }

  fresh() {
    return crypto.randomBytes(24).toString('base64url');
  }

  setCookie(req, res, id) {
    const secure = req.secure ? '; Secure' : '';
    res.append('Set-Cookie', `sid=${id}.${this.sign(id)}; Path=/; HttpOnly; SameSite=Lax${secure}`);
  }

  // Express middleware: req.sid (perhaps null), req.customer (perhaps null), req.csrf.
  middleware() {
    return async (req, res, next) => {
      try {
        const bearer = /^Bearer (\S+)$/.exec(req.get('authorization') || '');
        req.sid = this.read(bearer ? bearer[1] : cookie(req, 'sid'));
        req.bearer = Boolean(bearer);
        req.customer = null;
        if (req.sid) {
          const stored = await this.redis.get(`sess:${req.sid}`);
          if (stored) {
            req.customer = JSON.parse(stored);
            await this.redis.expire(`sess:${req.sid}`, this.config.sessionSeconds);
          }
        }
        next();
      } catch (error) {
        next(error);
      }
    };
  }

  // Makes sure that the visitor has an id (pages with forms need one); returns it.
  ensure(req, res) {
    if (!req.sid) {
      req.sid = this.fresh();
      this.setCookie(req, res, req.sid);
    }
    return req.sid;
  }

  // A new id at every login, so that an id planted before is worth nothing. The cart follows.
  async login(req, res, customer) {
    const old = req.sid;
    req.sid = this.fresh();
    req.customer = { id: customer.id, name: customer.display_name, email: customer.email, kind: customer.kind };
    await this.redis.set(`sess:${req.sid}`, JSON.stringify(req.customer), { EX: this.config.sessionSeconds });
    if (old && await this.redis.exists(`cart:${old}`)) await this.redis.rename(`cart:${old}`, `cart:${req.sid}`);
    if (old) await this.redis.del(`sess:${old}`);
    this.setCookie(req, res, req.sid);
    return `${req.sid}.${this.sign(req.sid)}`;
  }

  async logout(req, res) {
    if (req.sid) await this.redis.del([`sess:${req.sid}`, `cart:${req.sid}`]);
    req.sid = null;
    req.customer = null;
    res.append('Set-Cookie', 'sid=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0');
  }

  csrf(req) {
    return req.sid ? this.sign(req.sid, 'csrf') : '';
  }

  // For form posts: the token of this very session, and a browser that does not say it comes from elsewhere.
  checkForm(req) {
    const site = req.get('sec-fetch-site');
    if (site && site !== 'same-origin' && site !== 'none') return false;
    const given = Buffer.from(String((req.body && req.body._csrf) || ''));
    const expected = Buffer.from(this.csrf(req));
    return expected.length > 0 && given.length === expected.length && crypto.timingSafeEqual(given, expected);
  }
}

function cookie(req, name) {
  for (const part of String(req.headers.cookie || '').split(';')) {
    const at = part.indexOf('=');
    if (at > 0 && part.slice(0, at).trim() === name) return part.slice(at + 1).trim();
  }
  return '';
}

module.exports = { Sessions, cookie };
