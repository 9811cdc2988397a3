"""Vouchers sold for money: orders, their payment and delivery, handing back what was not sold, statements."""
