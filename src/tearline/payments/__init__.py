"""Providers of payments, behind one small protocol: Stripe, and one for the demo and for tests."""
