"""PURE: how a council's desk places packages of care: rounds, bids, evaluation, award, what follows."""
