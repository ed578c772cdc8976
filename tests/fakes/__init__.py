"""Stand-ins for the sides of a boundary that a test is not about."""
