'use strict';
// Every word that customers read, French first.
const texts = {
  fr: {
    tagline: 'Créations douces, faites main', search: 'Rechercher', searchHint: 'un carnet, un bijou…', all: 'Tout',
    cart: 'Panier', account: 'Mon compte', login: 'Se connecter', logout: 'Se déconnecter', email: 'Adresse e-mail',
    password: 'Mot de passe', stock: 'en stock', soldOut: 'Épuisé', lastOnes: 'Plus que', add: 'Ajouter au panier',
    reviews: 'avis', latestReviews: 'Derniers avis', noReviews: 'Pas encore d’avis.', quantity: 'Quantité',
    model: 'Modèle', total: 'Total', order: 'Commander', remove: 'Retirer', emptyCart: 'Votre panier est vide.',
    back: 'Continuer mes achats', orders: 'Mes commandes', noOrders: 'Aucune commande pour l’instant.',
    thanks: 'Merci ! Votre commande est confirmée.', orderTitle: 'Commande', status: 'État', date: 'Date',
    hello: 'Bonjour', vat: 'hors taxes', previous: 'Précédent', next: 'Suivant', page: 'Page', results: 'articles',
    contact: 'Nous écrire', anonymous: 'Une cliente', other: 'English', otherLang: 'en', servedBy: 'servi par',
    loginFirst: 'Connectez-vous pour commander.', reference: 'Votre référence (facultatif)', price: 'Prix',
    article: 'Article', error: 'Oups',
    problems: {
      bad_credentials: 'Adresse ou mot de passe incorrect.', too_many_attempts: 'Trop d’essais, patientez 5 minutes.',
      not_found: 'Cette page n’existe pas.', no_such_product: 'Cet article n’existe pas ou plus.',
      no_such_variant: 'Ce modèle n’existe pas.', no_such_order: 'Cette commande n’existe pas.',
      empty_cart: 'Votre panier est vide.', out_of_stock: 'Un article vient d’être épuisé.',
      bad_quantity: 'Quantité impossible.', form_expired: 'Le formulaire a expiré, réessayez.',
      login_required: 'Connectez-vous d’abord.',
      unavailable: 'La boutique revient dans un instant. Rien n’a été débité.',
      internal: 'Une erreur est survenue de notre côté.',
    },
    statuses: { pending: 'en attente', paid: 'payée', preparing: 'en préparation', shipped: 'expédiée',
      delivered: 'livrée', cancelled: 'annulée', refunded: 'remboursée' },
  },
  en: {
    tagline: 'Gentle things, made by hand', search: 'Search', searchHint: 'a notebook, a jewel…', all: 'All',
    cart: 'Cart', account: 'My account', login: 'Log in', logout: 'Log out', email: 'E-mail address',
    password: 'Password', stock: 'in stock', soldOut: 'Sold out', lastOnes: 'Only', add: 'Add to cart',
    reviews: 'reviews', latestReviews: 'Latest reviews', noReviews: 'No reviews yet.', quantity: 'Quantity',
    model: 'Model', total: 'Total', order: 'Place the order', remove: 'Remove', emptyCart: 'Your cart is empty.',
    back: 'Go on shopping', orders: 'My orders', noOrders: 'No orders yet.',
    thanks: 'Thank you! Your order is confirmed.', orderTitle: 'Order', status: 'Status', date: 'Date',
    hello: 'Hello', vat: 'without VAT', previous: 'Previous', next: 'Next', page: 'Page', results: 'articles',
    contact: 'Write to us', anonymous: 'A customer', other: 'Français', otherLang: 'fr', servedBy: 'served by',
    loginFirst: 'Log in to place the order.', reference: 'Your reference (optional)', price: 'Price',
    article: 'Article', error: 'Oops',
    problems: {
      bad_credentials: 'Wrong address or password.', too_many_attempts: 'Too many attempts, wait 5 minutes.',
      not_found: 'There is no such page.', no_such_product: 'There is no such article (any more).',
      no_such_variant: 'There is no such model.', no_such_order: 'There is no such order.',
      empty_cart: 'Your cart is empty.', out_of_stock: 'An article has just sold out.',
      bad_quantity: 'That quantity is not possible.', form_expired: 'The form has expired, try again.',
      login_required: 'Log in first.', unavailable: 'The shop is back in a moment. Nothing was charged.',
      internal: 'Something went wrong on our side.',
    },
    statuses: { pending: 'pending', paid: 'paid', preparing: 'in preparation', shipped: 'shipped',
      delivered: 'delivered', cancelled: 'cancelled', refunded: 'refunded' },
  },
};

const say = (lang) => texts[lang] || texts.fr;

module.exports = { say };
