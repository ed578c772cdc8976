"""A vendor's servers on loopback: a real SFTP server with a host key, a real HTTPS server with a certificate of a CA of
our own. Each runs in a thread with a loop of its own, so that a test may kill and poll as it likes."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import ssl
import threading
from collections.abc import Callable, Coroutine
from email.utils import format_datetime
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import Any

import asyncssh
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.ports import free_port

LOOPBACK = "127.0.0.1"
USER, TOKEN = "callwatch", "the-vendors-token"


class _Served:
    """Something that serves, in a thread."""

    def __init__(self) -> None:
        self.port = free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._up = threading.Event()
        self._stop: asyncio.Event

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        self._stop = asyncio.Event()
        await self.begin()
        self._up.set()
        await self._stop.wait()
        await self.end()

    async def begin(self) -> None:
        raise NotImplementedError

    async def end(self) -> None:
        raise NotImplementedError

    def do(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine function on the server's loop and wait for it."""
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(30)

    def __enter__(self) -> Any:
        self._thread.start()
        assert self._up.wait(30), "the server is not there"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive()


# --- SFTP ---


class Sftp(_Served):
    """Serves `root` to one user with one key. `end` and `begin`: it goes away, and is back."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.root = folder / "served"
        self.root.mkdir()
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        ours = asyncssh.generate_private_key("ssh-ed25519")
        self.key_file, self.known_hosts = folder / "id", folder / "known_hosts"
        ours.write_private_key(str(self.key_file))
        self.allowed = folder / "allowed"
        ours.write_public_key(str(self.allowed))
        self.write_known_hosts(self.host_key)
        self._server: asyncssh.SSHAcceptor | None = None

    def write_known_hosts(self, key: asyncssh.SSHKey) -> None:
        public = key.export_public_key().decode()
        self.known_hosts.write_text(f"[{LOOPBACK}]:{self.port} {public}")

    async def begin(self) -> None:
        root = str(self.root)

        def factory(channel: asyncssh.SSHServerChannel[bytes]) -> asyncssh.SFTPServer:
            return asyncssh.SFTPServer(channel, chroot=root)

        self._server = await asyncssh.listen(
            LOOPBACK,
            self.port,
            server_host_keys=[self.host_key],
            authorized_client_keys=str(self.allowed),
            sftp_factory=factory,
        )

    async def end(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None


# --- HTTPS ---


class Https(_Served):
    """Serves one body at /export.csv, with an ETag, to whoever has the token."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.ca_file, self._cert, self._key = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
        _certificates(self.ca_file, self._cert, self._key)
        self.body = b""
        self.modified: dt.datetime | None = None
        self.asked: list[int] = []
        self.status = 200
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"https://{LOOPBACK}:{self.port}/export.csv?report=12"

    def serve(self, body: bytes, modified: dt.datetime | None = None) -> None:
        self.body, self.modified = body, modified

    async def _export(self, request: web.Request) -> web.Response:
        answer = self._answer(request)
        self.asked.append(answer.status)
        return answer

    def _answer(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401)
        if self.status != 200:
            return web.Response(status=self.status)
        etag = f'"{hashlib.sha256(self.body).hexdigest()[:16]}"'
        headers = {"ETag": etag}
        if self.modified is not None:
            headers["Last-Modified"] = format_datetime(self.modified, usegmt=True)
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=self.body, headers=headers, content_type="text/csv")

    async def begin(self) -> None:
        app = web.Application()
        app.router.add_get("/export.csv", self._export)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._cert, self._key)
        await web.TCPSite(self._runner, LOOPBACK, self.port, ssl_context=context).start()

    async def end(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


def _certificates(ca_file: Path, cert_file: Path, key_file: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a CA of this test")])
    ca = (
        x509.CertificateBuilder(ca_name, ca_name, ca_key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(ca_key, hashes.SHA256())
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vendor")])
    cert = (
        x509.CertificateBuilder(ca_name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(LOOPBACK))]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    cert_file.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
