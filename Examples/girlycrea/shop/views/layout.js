'use strict';
const { html } = require('./html');

function layout(view, title, body) {
  const { t, lang } = view;
  return `<!doctype html>\n${html`<html lang="${lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title ? `${title} · GirlyCrea` : `GirlyCrea · ${t.tagline}`}</title>
<link rel="stylesheet" href="/static/style.css">
</head>
<body>
<header>
  <div class="bar">
    <a class="brand" href="/">Girly<b>Crea</b></a>
    <form class="search" action="/" role="search">
      <input type="search" name="q" value="${view.q}" placeholder="${t.searchHint}" aria-label="${t.search}">
      <button>${t.search}</button>
    </form>
    <nav>
      <a href="?lang=${t.otherLang}" hreflang="${t.otherLang}">${t.other}</a>
      ${view.customer ? html`<a href="/compte">${t.account}</a>` : html`<a href="/connexion">${t.login}</a>`}
      <a class="pill" href="/panier">${t.cart}</a>
    </nav>
  </div>
</header>
<main>${body}</main>
<footer>GirlyCrea · ${t.tagline} · <small>${t.servedBy} ${view.instance}</small></footer>
</body>
</html>`}\n`;
}

module.exports = { layout };
