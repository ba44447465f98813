'use strict';
// Templates are tagged strings: html`<p>${name}</p>` escapes every value except the result of another html``.
class Safe {
  constructor(text) {
    this.text = text;
  }

  toString() {
    return this.text;
  }
}

const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function render(value) {
  if (value instanceof Safe) return value.text;
  if (Array.isArray(value)) return value.map(render).join('');
  if (value === null || value === undefined || value === false) return '';
  return String(value).replace(/[&<>"']/g, (c) => entities[c]);
}

function html(parts, ...values) {
  return new Safe(parts.reduce((text, part, i) => text + part + (i < values.length ? render(values[i]) : ''), ''));
}

module.exports = { html };
