'use strict';
const { html } = require('./html');

function euros(amount, lang) {
  return lang === 'en' ? `€${amount}` : `${String(amount).replace('.', ',')} €`;
}

function day(date, lang) {
  return new Intl.DateTimeFormat(lang === 'en' ? 'en-GB' : 'fr-FR', { dateStyle: 'long', timeZone: 'Europe/Paris' })
    .format(new Date(date));
}

function availability(stock, t) {
  if (stock <= 0) return html`<span class="stock out">${t.soldOut}</span>`;
  if (stock <= 5) return html`<span class="stock low">${t.lastOnes} ${stock}</span>`;
  return html`<span class="stock">${t.stock}</span>`;
}

function stars(value) {
  const full = Math.round(value || 0);
  return html`<span class="stars" aria-label="${value || 0} / 5">${'★'.repeat(full)}<i>${'★'.repeat(5 - full)}</i></span>`;
}

const formToken = (view) => html`<input type="hidden" name="_csrf" value="${view.csrf}">`;

function home(view, found, categories) {
  const { t, lang } = view;
  const link = (page) => `/?${new URLSearchParams({ c: view.category, q: view.q, page })}`;
  return html`
<nav class="chips"><a href="/" class="${view.category ? '' : 'on'}">${t.all}</a>${categories.map((c) => html`
  <a href="/?c=${c.slug}" class="${c.slug === view.category ? 'on' : ''}">${lang === 'en' ? c.name_en : c.name_fr}</a>`)}
</nav>
<p class="muted">${found.total} ${t.results}</p>
<div class="grid">${found.products.map((p) => html`
  <a class="card" href="/produit/${p.slug}">
    ${p.image ? html`<img src="${p.image}" alt="" loading="lazy" width="320" height="320">` : html`<div class="noimage"></div>`}
    <h2>${p.name}</h2>
    <p>${stars(p.stars)} <span class="muted">${p.reviews} ${t.reviews}</span></p>
    <p class="row"><b>${euros(p.price, lang)}</b> ${availability(p.stock, t)}</p>
  </a>`)}
</div>
<nav class="pages">
  ${found.page > 1 ? html`<a rel="prev" href="${link(found.page - 1)}">← ${t.previous}</a>` : ''}
  <span>${t.page} ${found.page} / ${found.pages}</span>
  ${found.page < found.pages ? html`<a rel="next" href="${link(found.page + 1)}">${t.next} →</a>` : ''}
</nav>`;
}

function product(view, p) {
  const { t, lang } = view;
  return html`
<article class="product">
  <div>${p.images.length ? p.images.map((i) => html`<img src="${i.url}" alt="${i.alt}" width="480" height="480">`)
    : html`<div class="noimage"></div>`}</div>
  <div>
    <h1>${p.name}</h1>
    <p>${stars(p.stars)} <span class="muted">${p.reviews} ${t.reviews}</span> ${availability(p.stock, t)}</p>
    <p class="price">${euros(p.price, lang)} <small class="muted">${euros(p.priceWithoutVAT, lang)} ${t.vat}</small></p>
    <p>${p.description}</p>
    <form method="post" action="/panier" class="buy">
      ${formToken(view)}
      <label>${t.model}<select name="variantId">${p.variants.map((v) => html`
        <option value="${v.id}" ${v.stock > 0 ? '' : 'disabled'}>${v.label} · ${euros(v.price, lang)}</option>`)}
      </select></label>
      <label>${t.quantity}<input type="number" name="quantity" value="1" min="1" max="50"></label>
      <button ${p.stock > 0 ? '' : 'disabled'}>${t.add}</button>
    </form>
    <p class="chips">${p.tags.map((tag) => html`<span>${tag}</span>`)}</p>
  </div>
</article>
<section>
  <h2>${t.latestReviews}</h2>
  ${p.latestReviews.length === 0 ? html`<p class="muted">${t.noReviews}</p>` : p.latestReviews.map((r) => html`
  <blockquote>${stars(r.stars)} <b>${r.title}</b><p>${r.body}</p>
    <footer>${r.author || t.anonymous}, ${day(r.createdAt, lang)}</footer></blockquote>`)}
</section>`;
}

function cart(view, c) {
  const { t, lang } = view;
  if (c.lines.length === 0) return html`<h1>${t.cart}</h1><p>${t.emptyCart}</p><p><a href="/">${t.back}</a></p>`;
  return html`
<h1>${t.cart}</h1>
<table><thead><tr><th>${t.article}</th><th>${t.quantity}</th><th>${t.price}</th><th></th></tr></thead>
<tbody>${c.lines.map((l) => html`
  <tr><td><a href="/produit/${l.slug}">${l.name}</a> <span class="muted">${l.label}</span></td><td>${l.quantity}</td>
  <td>${euros(l.amount, lang)}</td><td><form method="post" action="/panier/retirer">${formToken(view)}
  <input type="hidden" name="variantId" value="${l.variantId}"><button class="quiet">${t.remove}</button></form></td></tr>`)}
</tbody><tfoot><tr><th>${t.total}</th><td>${c.count}</td><th>${euros(c.total, lang)}</th><td></td></tr></tfoot></table>
${view.customer ? html`
<form method="post" action="/commandes" class="buy">${formToken(view)}
  <input type="hidden" name="key" value="${view.orderKey}">
  <label>${t.reference}<input name="reference" maxlength="80"></label><button>${t.order}</button></form>`
    : html`<p>${t.loginFirst} <a class="pill" href="/connexion?next=/panier">${t.login}</a></p>`}`;
}

function login(view, next) {
  const { t } = view;
  return html`
<h1>${t.login}</h1>
${view.problem ? html`<p class="problem" role="alert">${view.problem}</p>` : ''}
<form method="post" action="/connexion" class="narrow">${formToken(view)}
  <input type="hidden" name="next" value="${next}">
  <label>${t.email}<input type="email" name="email" autocomplete="username" required></label>
  <label>${t.password}<input type="password" name="password" autocomplete="current-password" required></label>
  <button>${t.login}</button>
</form>`;
}

function account(view, orders) {
  const { t, lang } = view;
  return html`
<h1>${t.hello}, ${view.customer.name}</h1>
<p class="muted">${view.customer.email}</p>
<h2>${t.orders}</h2>
${orders.length === 0 ? html`<p>${t.noOrders}</p>` : html`
<table><thead><tr><th>${t.orderTitle}</th><th>${t.date}</th><th>${t.status}</th><th>${t.total}</th></tr></thead>
<tbody>${orders.map((o) => html`<tr><td><a href="/commandes/${o.id}">${o.number}</a></td><td>${day(o.placedAt, lang)}</td>
  <td>${t.statuses[o.status]}</td><td>${euros(o.total, lang)}</td></tr>`)}</tbody></table>`}
<form method="post" action="/deconnexion">${formToken(view)}<button class="quiet">${t.logout}</button></form>`;
}

function order(view, o, fresh) {
  const { t, lang } = view;
  return html`
${fresh ? html`<p class="thanks" role="status">${t.thanks}</p>` : ''}
<h1>${t.orderTitle} ${o.number}</h1>
<p class="muted">${day(o.placedAt, lang)} · ${t.statuses[o.status]}${o.reference ? ` · ${o.reference}` : ''}</p>
<table><thead><tr><th>${t.article}</th><th>${t.quantity}</th><th>${t.price}</th></tr></thead>
<tbody>${o.lines.map((l) => html`<tr><td><a href="/produit/${l.slug}">${l.name}</a> <span class="muted">${l.label}</span></td>
  <td>${l.quantity}</td><td>${euros(l.amount, lang)}</td></tr>`)}</tbody>
<tfoot><tr><th>${t.total}</th><td></td><th>${euros(o.total, lang)}</th></tr></tfoot></table>
<p><a href="/compte">← ${t.orders}</a></p>`;
}

function failure(view, message) {
  return html`<h1>${view.t.error}</h1><p class="problem" role="alert">${message}</p><p><a href="/">${view.t.back}</a></p>`;
}

module.exports = { home, product, cart, login, account, order, failure };
