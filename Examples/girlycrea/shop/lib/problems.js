'use strict';
// An error that the customer may see: a status and a stable code, whose words are in texts.js.
function problem(status, code) {
  const error = new Error(code);
  error.status = status;
  error.problem = code;
  return error;
}

// Express 4 does not wait for promises: this hands their errors on.
const wrap = (handler) => (req, res, next) => Promise.resolve(handler(req, res, next)).catch(next);

module.exports = { problem, wrap };
