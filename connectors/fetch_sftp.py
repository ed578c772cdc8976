"""A folder on an SFTP server. Its host key is known beforehand, or nothing is read: who answers at first sight may be
anybody, and the file decides whom we watch over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import asyncssh

from connectors.fetch import SETTLE_S, Look, Mark, Seen, look_through
from connectors.ports import EdgeError, Reason

_CHUNK = 256 << 10


class _Remote:
    """`connectors.fetch.Place` over one connection."""

    def __init__(self, sftp: asyncssh.SFTPClient, path: str, timeout_s: float) -> None:
        self._sftp, self._path, self._timeout_s = sftp, path.rstrip("/") or "/", timeout_s

    async def scan(self) -> dict[str, Mark]:
        marks = {}
        async with asyncio.timeout(self._timeout_s):
            async for entry in self._sftp.scandir(self._path):
                name, found = str(entry.filename), entry.attrs
                if found.type in (asyncssh.FILEXFER_TYPE_REGULAR, asyncssh.FILEXFER_TYPE_UNKNOWN):
                    marks[name] = _mark(found)
        return marks

    async def read(self, name: str, most: int) -> tuple[bytes, Mark]:
        body = bytearray()
        async with asyncio.timeout(self._timeout_s):
            try:
                async with self._sftp.open(f"{self._path}/{name}", "rb") as file:
                    while len(body) < most:
                        chunk = cast(bytes, await file.read(min(_CHUNK, most - len(body))))
                        if not chunk:
                            break
                        body += chunk
                    return bytes(body), _mark(await file.stat())
            except asyncssh.SFTPNoSuchFile as error:
                raise EdgeError("refused", "the file has gone", permanent=True) from error


def _mark(found: asyncssh.SFTPAttrs) -> Mark:
    return Mark(found.size or 0, (found.mtime or 0) * 1_000_000_000 + (found.mtime_ns or 0))


class SftpFetcher:
    """`connectors.fetch.Fetcher` of a folder on an SFTP server; a connection for each look."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        user: str,
        known_hosts: Path,
        key_file: Path | None,
        password: str | None,
        path: str,
        pattern: str,
        most_bytes: int,
        timeout_s: float,
        every_s: float,
        now: Callable[[], datetime],
    ) -> None:
        self._host, self._port, self._user = host, port, user
        self._known_hosts, self._key_file, self._password = known_hosts, key_file, password
        self._path, self._pattern, self._most_bytes, self._now = path, pattern, most_bytes, now
        self._timeout_s, self._settle_s = timeout_s, min(SETTLE_S, every_s)
        # its own lines name hosts and accounts; what went wrong is in our log by its reason
        asyncssh.set_log_level("CRITICAL")

    async def look(self, seen: Seen) -> Look:
        """What is new on the server. Raises EdgeError: identity (another host key), unauthorised, timeout, …"""
        try:
            return await self._look(seen)
        except (OSError, asyncssh.Error, TimeoutError, ValueError) as error:
            raise _mapped(error) from error

    async def _look(self, seen: Seen) -> Look:
        connection = await self._connect()
        try:
            return await look_through(
                _Remote(await self._client(connection), self._path, self._timeout_s),
                seen,
                pattern=self._pattern,
                most_bytes=self._most_bytes,
                settle_s=self._settle_s,
                now=self._now(),
            )
        finally:
            # not to wait for: a server that hangs would hang us
            connection.abort()

    async def _connect(self) -> asyncssh.SSHClientConnection:
        options: dict[str, Any] = (
            {"client_keys": [str(self._key_file)], "password": None}
            if self._key_file is not None
            else {"client_keys": None, "password": self._password}
        )
        async with asyncio.timeout(self._timeout_s):
            return await asyncssh.connect(
                self._host,
                self._port,
                username=self._user,
                known_hosts=str(self._known_hosts),
                # nothing of whoever started us: neither their agent nor their ~/.ssh/config
                config=None,
                agent_path=None,
                **options,
            )

    async def _client(self, connection: asyncssh.SSHClientConnection) -> asyncssh.SFTPClient:
        async with asyncio.timeout(self._timeout_s):
            return await connection.start_sftp_client()

    async def close(self) -> None:
        """Each look closes its own connection."""


def _mapped(error: BaseException) -> EdgeError:
    reason: Reason = "unreachable"
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        reason = "identity"
    elif isinstance(error, asyncssh.PermissionDenied | asyncssh.SFTPPermissionDenied):
        reason = "unauthorised"
    elif isinstance(error, TimeoutError):
        reason = "timeout"
    elif isinstance(error, asyncssh.SFTPError):
        reason = "refused"
    return EdgeError(reason, f"the server could not be read: {type(error).__name__}")
