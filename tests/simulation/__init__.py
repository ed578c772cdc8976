"""Simulated days: the real core and shell in virtual time, with faults, one seed and an auditor (style habit 20)."""
