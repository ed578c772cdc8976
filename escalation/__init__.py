"""PURE: what happens once something is wrong. Knows people and channels, not visits, not phones' APIs."""
