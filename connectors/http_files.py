"""Files over HTTP: `Content-Type: text/csv` with `?mapping=NAME` on the routes of rota, people and check-ins."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from config.mapping import What
from config.settings import Mapping as CsvMapping
from connectors.csv_intake import hand_in, put_people, put_rota, read_checkins
from connectors.http_wire import Limits, as_json, flag, read_whole
from connectors.ports import ApiProblem, Credential, Desks, SeenCheckIn
from monitor.core.views import CheckInAnswer

Mappings = Callable[[], Mapping[str, CsvMapping]]


class FileUploads:
    """The three routes, for a body that is a file. `mappings`: those of the configuration in force."""

    def __init__(self, desks: Desks, mappings: Mappings, limits: Limits) -> None:
        self._desks, self._mappings, self._limits = desks, mappings, limits

    def wanted(self, request: web.Request, what: What) -> CsvMapping | None:
        """The mapping by which the body is to be read; None for JSON. Raises ApiProblem(400)."""
        name, is_csv = request.query.get("mapping"), request.content_type == "text/csv"
        if name is None and not is_csv:
            return None
        if not is_csv:
            raise ApiProblem(400, "bad_body", "expected Content-Type: text/csv with a mapping", "mapping")
        if name is None:
            raise ApiProblem(
                400, "missing", "expected ?mapping=NAME, a [[mapping]] of the configuration", "mapping"
            )
        mapping = self._mappings().get(name)
        if mapping is None:
            raise ApiProblem(
                400, "unknown_mapping", "the configuration has no mapping of this name", "mapping"
            )
        if mapping.what != what:
            text = f"this mapping is for {mapping.what}"
            raise ApiProblem(400, "other_mapping", text, "mapping", {"what": mapping.what})
        return mapping

    async def put_rota(self, request: web.Request, mapping: CsvMapping, who: Credential) -> web.Response:
        """As a rota in JSON; `?confirm=true` as its `confirm`."""
        body = await read_whole(request, self._limits.upload_bytes, self._limits)
        answer = await put_rota(
            self._desks,
            request.match_info["desk"],
            mapping,
            body,
            who.name or who.role,
            confirm=flag(request.query.get("confirm"), "confirm"),
        )
        return as_json(answer)

    async def put_people(self, request: web.Request, mapping: CsvMapping) -> web.Response:
        """As people in JSON; whom the file names keeps what it does not say."""
        body = await read_whole(request, self._limits.upload_bytes, self._limits)
        return as_json(await put_people(self._desks, request.match_info["desk"], mapping, body))

    async def post_checkins(self, request: web.Request, mapping: CsvMapping, *, manual: bool) -> web.Response:
        """`{"results":[…],"problems":[…]}`: a result for each check-in, in the order of time; a problem for each line
        that has one."""
        desk = request.match_info["desk"]
        body = await read_whole(request, self._limits.upload_bytes, self._limits)
        read = await read_checkins(self._desks, desk, mapping, body, manual=manual)
        results: list[CheckInAnswer] = []

        def taken(_: SeenCheckIn, answer: CheckInAnswer) -> None:
            results.append(answer)

        await hand_in(self._desks, desk, read.seen, taken)
        return as_json({"results": results, "problems": read.problems})
