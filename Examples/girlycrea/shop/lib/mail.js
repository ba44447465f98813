'use strict';
const nodemailer = require('nodemailer');

// Order confirmations. Probes never get mail, and a mail that fails never fails an order.
function open(config) {
  if (!config.smtpURL) return { confirm() {}, close() {} };
  const transport = nodemailer.createTransport(config.smtpURL, { connectionTimeout: 5000, pool: true });
  return {
    confirm(customer, order) {
      if (customer.kind !== 'person') return;
      transport.sendMail({
        from: 'GirlyCrea <bonjour@shop.example>',
        to: customer.email,
        subject: `Votre commande ${order.number}`,
        // The same order never sends two different messages.
        messageId: `<${order.number}@shop.example>`,
        text: `Bonjour ${customer.name},\n\nmerci ! Votre commande ${order.number} de ${order.total} € est confirmée.\n`,
      }).catch((error) => console.error(`mail: ${order.number}: ${error.message}`));
    },
    close() {
      transport.close();
    },
  };
}

module.exports = { open };
