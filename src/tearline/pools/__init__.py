"""Pools of partner codes: uploads of codes that a partner brings, each for one offer."""
