"""Which fetcher a `[[feed]]` gets. asyncssh is imported only where something is fetched over SFTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pydantic import SecretStr

from config.settings import Feed
from connectors.fetch import Fetcher
from connectors.fetch_folder import FolderFetcher
from connectors.fetch_https import HttpsFetcher


def fetcher(feed: Feed, secret: SecretStr | None, now: Callable[[], datetime]) -> Fetcher:
    """The configuration was checked whole: what its kind needs is there."""
    opened = secret.get_secret_value() if secret is not None else None
    timeout_s, every_s = feed.timeout.total_seconds(), feed.every.total_seconds()
    if feed.kind == "https":
        return HttpsFetcher(
            url=feed.url or "",
            token=opened if feed.token_file is not None else None,
            user=feed.user,
            password=opened if feed.password_file is not None else None,
            ca_file=feed.ca_file,
            most_bytes=feed.max_bytes,
            timeout_s=timeout_s,
        )
    if feed.kind == "folder":
        return FolderFetcher(
            feed.name,
            feed.path or "",
            feed.pattern,
            most_bytes=feed.max_bytes,
            timeout_s=timeout_s,
            every_s=every_s,
            now=now,
        )
    return _sftp(feed, opened, now, timeout_s, every_s)


def _sftp(
    feed: Feed, password: str | None, now: Callable[[], datetime], timeout_s: float, every_s: float
) -> Fetcher:
    from connectors.fetch_sftp import SftpFetcher  # a third of a second to import

    assert feed.known_hosts is not None
    return SftpFetcher(
        host=feed.host or "",
        port=feed.port,
        user=feed.user or "",
        known_hosts=feed.known_hosts,
        key_file=feed.key_file,
        password=password,
        path=feed.path or "",
        pattern=feed.pattern,
        most_bytes=feed.max_bytes,
        timeout_s=timeout_s,
        every_s=every_s,
        now=now,
    )
