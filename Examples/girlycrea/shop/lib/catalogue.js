'use strict';
// Reading products. Money stays text, as PostgreSQL's numeric gives it: never a float.

const perPage = 24;

function shape(row, lang) {
  return {
    id: row.id,
    slug: row.slug,
    name: lang === 'en' ? row.name_en : row.name_fr,
    price: row.price,
    stock: Number(row.quantity),
    reviews: Number(row.reviews),
    stars: row.stars === null ? null : Number(row.stars),
    image: row.image ? `/uploads/${row.image}` : null,
  };
}

async function categories(db) {
  return (await db.query('SELECT slug, name_fr, name_en FROM categories WHERE parent_id IS NULL ORDER BY position, id'))
    .rows;
}

// A page of published products; `category` a slug, `q` free text, both optional. Paged before the view's aggregates.
async function list(db, { category = '', q = '', page = 1, lang = 'fr' } = {}) {
  const filter = `p.status = 'published'
    AND ($1 = '' OR EXISTS (SELECT 1 FROM product_categories pc JOIN categories c ON c.id = pc.category_id
        LEFT JOIN categories parent ON parent.id = c.parent_id
        WHERE pc.product_id = p.id AND (c.slug = $1 OR parent.slug = $1)))
    AND ($2 = '' OR p.search @@ websearch_to_tsquery('french', $2) OR p.search @@ websearch_to_tsquery('english', $2))`;
  const offset = (Math.max(1, page) - 1) * perPage;
  const [rows, count] = await Promise.all([
    db.query(`SELECT o.* FROM (SELECT p.id FROM products p WHERE ${filter} ORDER BY p.created_at DESC, p.id
              LIMIT $3 OFFSET $4) picked JOIN product_overview o USING (id) ORDER BY o.created_at DESC, o.id`,
      [category, q, perPage, offset]),
    db.query(`SELECT count(*)::int AS n FROM products p WHERE ${filter}`, [category, q]),
  ]);
  const total = count.rows[0].n;
  return { products: rows.rows.map((r) => shape(r, lang)), total, page, pages: Math.max(1, Math.ceil(total / perPage)) };
}

// One product with variants, stock and its newest reviews, or null.
async function product(db, slug, lang = 'fr') {
  const found = await db.query(
    `SELECT o.*, p.description_fr, p.description_en, p.attributes, p.tags, p.price_without_vat
     FROM product_overview o JOIN products p USING (id) WHERE o.slug = $1 AND o.status = 'published'`, [slug]);
  if (found.rows.length === 0) return null;
  const row = found.rows[0];
  const [variants, reviews, images] = await Promise.all([
    db.query(`SELECT v.id, v.sku, v.label, (p.price + v.surcharge)::numeric(12,2) AS price, s.quantity AS stock
              FROM variants v JOIN products p ON p.id = v.product_id JOIN stock s ON s.variant_id = v.id
              WHERE v.product_id = $1 ORDER BY v.id`, [row.id]),
    db.query(`SELECT r.stars, r.title, r.body, r.created_at AS "createdAt", c.display_name AS author
              FROM reviews r LEFT JOIN customers c ON c.id = r.customer_id
              WHERE r.product_id = $1 AND r.published ORDER BY r.created_at DESC, r.id LIMIT 10`, [row.id]),
    db.query(`SELECT u.path, i.alt_fr, i.alt_en FROM product_images i JOIN uploads u ON u.id = i.upload_id
              WHERE i.product_id = $1 ORDER BY i.position`, [row.id]),
  ]);
  return {
    ...shape(row, lang),
    description: lang === 'en' ? row.description_en : row.description_fr,
    attributes: row.attributes,
    tags: row.tags,
    priceWithoutVAT: row.price_without_vat,
    variants: variants.rows,
    images: images.rows.map((i) => ({ url: `/uploads/${i.path}`, alt: lang === 'en' ? i.alt_en : i.alt_fr })),
    latestReviews: reviews.rows.map((r) => ({ ...r, author: r.author ? r.author.split(' ')[0] : null })),
  };
}

module.exports = { categories, list, product, perPage };
