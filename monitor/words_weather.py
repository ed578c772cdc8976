"""What is told of declared bad weather: to staff where to look, to a council desk the situation of the hour.

A council hears of each visit by its own reference and initials, as in every mail to it: neither a name nor an address.
Taken at the moment of sending; who was told what stands in the facts.
"""

from __future__ import annotations

from datetime import datetime

from escalation.wording import Wording, render_phrase, text_time
from monitor.core.state import Alert, Message, State, Weather
from monitor.core.weather import Situation, situations
from monitor.directory import Directory


class WeatherWords:
    """The values of CO-120, CO-121 and of the texts to staff. Reads state and directory; changes nothing."""

    def __init__(self, wording: Wording, state: State, directory: Directory) -> None:
        self._wording, self._state, self._directory = wording, state, directory

    def values(self, message: Message) -> dict[str, str]:
        """What may stand in a message about the weather and no one alert; {} when there is none."""
        known = self._state.values.weathers.values()
        weather = max(known, key=lambda one: one.declared_at, default=None)
        if weather is None:
            return {}
        told = {"since": self._clock(weather.declared_at)}
        return told | self._situation(weather, message) if message.channel == "email" else told

    def _situation(self, weather: Weather, message: Message) -> dict[str, str]:
        """As it is now; the desk is the one that answered when it was decided."""
        found = situations(self._state, self._directory, weather, message.intended_at)
        seen = found.get(message.person, Situation())
        return {
            "until": self._clock(message.at or weather.until),
            "late_n": str(len(seen.late)),
            "late_visits": self._rows(seen.late, weather),
            "covered_n": str(len(seen.covered)),
            "covered_visits": self._rows(seen.covered, weather),
            "red_n": str(len(seen.red)),
            "red_visits": self._rows(seen.red, weather),
            "passed_n": str(len(seen.passed)),
            "record": weather.ref,
        }

    def _rows(self, alerts: tuple[Alert, ...], weather: Weather) -> str:
        ordered = sorted(alerts, key=lambda alert: (self._due(alert), alert.ref))
        return "\n".join(self._row(alert, weather) for alert in ordered)

    def _row(self, alert: Alert, weather: Weather) -> str:
        person = alert.service_user or ""
        cover = weather.cover_of(person)
        found = (
            self._say("council_weather_covered", time=self._clock(cover.confirmed_at))
            if cover is not None
            else self._reached(alert)
        )
        return self._say(
            "council_weather_visit",
            ref=self._directory.council_ref(person) or self._say("council_no_reference"),
            init=self._directory.initials(person),
            time=self._clock(self._due(alert)),
            found=found,
            sending=self._say("council_weather_coming" if alert.sent else "council_weather_nobody"),
        )

    def _reached(self, alert: Alert) -> str:
        track = alert.track("reassure")
        if track is None or track.step in ("skipped", "waiting"):
            return self._say("council_weather_not_asked")
        return self._say(
            "council_weather_answered" if track.step == "reached" else "council_weather_not_answered"
        )

    def _due(self, alert: Alert) -> datetime:
        visit = self._state.values.visits.get(alert.visit or "")
        return visit.start if visit is not None else alert.due_at

    def _clock(self, at: datetime) -> str:
        return text_time(self._state.calendar.local(at))

    def _say(self, phrase: str, **values: str) -> str:
        return render_phrase(self._wording, phrase, values)
