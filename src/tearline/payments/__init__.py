"""Providers of payments, behind one small protocol: Stripe, and one for demo and tests."""
