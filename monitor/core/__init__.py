"""PURE: what a desk decides. No I/O, no clock, no randomness, no asyncio; import-linter proves it."""
