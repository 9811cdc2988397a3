"""The palette of merchants' and campaigns' colours along the edge of a ticket, by name."""

EDGES = (
    "vermilion", "teal", "purple", "rust", "navy", "forest", "rose", "gold",
    "slate", "plum", "sky", "olive", "indigo", "jade", "magenta", "brown",
)  # fmt: skip
"""Each is a class ``edge-NAME`` in ``frontend/css/tokens.css``, legible on paper and on ink."""
