"""Tearline: coupons, vouchers and offers of many merchants, self-hosted."""

__version__ = "0.1.0"
