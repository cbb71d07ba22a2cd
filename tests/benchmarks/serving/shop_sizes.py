"""What the shop has placements for; apart, for the measuring process knows no Django."""

SOURCES_GROWTH = (1, 2, 5, 10)
RULES_GROWTH = (0, 10, 100, 1000)
