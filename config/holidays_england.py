"""England's bank holidays, from the `holidays` library. The desk adopts them as an input, so replay needs none."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

import holidays


@lru_cache(maxsize=64)  # every desk asks for the same years, and the library takes milliseconds
def england_bank_holidays(first_year: int, last_year: int) -> tuple[date, ...]:
    """The bank holidays of England from 1 January of `first_year` to 31 December of `last_year`, in order.

    A holiday that falls on a Saturday or Sunday is absent and its substitute day is there: offices and councils
    are closed on the substitute (gov.uk/bank-holidays). A day proclaimed later needs a newer library.
    """
    years = range(first_year, last_year + 1)
    named = holidays.country_holidays("GB", subdiv="ENG", years=years, observed=True)
    # the library lists both the day itself and its substitute; no English bank holiday is kept at a weekend
    return tuple(sorted(day for day in named if day.weekday() < 5 and day.year in years))
