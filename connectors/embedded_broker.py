"""A broker of our own, for the demo and for whoever tries callwatch out: a child process on loopback.

Mosquitto when it is installed, with the persistence that config/mosquitto ships; else iotcore from PyPI, which
keeps nothing on disk and speaks MQTT 3.1.1 here. Anybody on this machine may connect: never for production.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

from connectors.ports import EdgeError

LOOPBACK = "127.0.0.1"
_STARTS = 3
_START_S, _STOP_S = 10.0, 5.0

_SHARED = (
    "persistence",
    "autosave_on_changes",
    "autosave_interval",
    "max_queued_messages",
    "max_queued_bytes",
    "max_inflight_messages",
    "message_size_limit",
    "persistent_client_expiration",
)
"""What the demo takes from the shipped mosquitto.conf: everything but who may come in, and where."""


@asynccontextmanager
async def embedded_broker(folder: Path, *, mosquitto: str | None = None) -> AsyncIterator[str]:
    """A running broker's address, `mqtt://127.0.0.1:PORT`. It ends with this block, and with this process.

    `folder` holds its store and its log; a second start on it carries on. `mosquitto` names the program ("" = do
    without); by default it is looked for. Raises EdgeError when no broker will start.
    """
    program = _installed() if mosquitto is None else mosquitto
    process, port = await _started(await asyncio.to_thread(_made, folder), program)
    try:
        yield f"mqtt://{LOOPBACK}:{port}" + ("" if program else "?protocol=3.1.1")
    finally:
        await _stopped(process)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder.absolute()


def _installed() -> str:
    """Debian keeps it where an ordinary person's PATH does not look."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin") or ""


async def _started(folder: Path, program: str) -> tuple[Process, int]:
    """Another program may take the free port before the broker does: then once more."""
    for _ in range(_STARTS):
        port = _free_port()
        command = await asyncio.to_thread(_mosquitto, folder, program, port) if program else _iotcore(port)
        process = await _child(command)
        if await _listens(process, port):
            return process, port
        await _stopped(process)
    raise EdgeError(
        "other", f"the broker did not start; expected an answer in its log, {folder.name}/broker.log"
    )


def _mosquitto(folder: Path, program: str, port: int) -> list[str]:
    conf = folder / "mosquitto.conf"
    conf.write_text(_configuration(folder, port))
    return [program, "-c", str(conf)]


def _configuration(folder: Path, port: int) -> str:
    shipped = (files("config") / "mosquitto" / "mosquitto.conf").read_text(encoding="utf-8").splitlines()
    lines = [line for line in shipped if line.split(" ", 1)[0] in _SHARED]
    lines += [
        f"persistence_location {folder}/",
        f"log_dest file {folder}/broker.log",
        "log_type error",
        "log_type warning",
        f"listener {port} {LOOPBACK}",
        "allow_anonymous true",
    ]
    if os.geteuid() == 0:
        # started by root it would become another user, who may not write here
        lines.append("user root")
    return "\n".join(lines) + "\n"


def _iotcore(port: int) -> list[str]:
    # its log says ERROR for every packet (rumqttd's tracing): silent instead
    return [
        sys.executable,
        "-m",
        "iotcore",
        "--listen",
        LOOPBACK,
        "--port",
        str(port),
        "--log-level",
        "CRITICAL",
    ]


async def _child(command: Sequence[str]) -> Process:
    """A child that the kernel ends when we are killed: `setpriv` (util-linux) asks for it in the child itself.

    In a session of its own: Ctrl-C in a terminal is for us, and the broker goes last.
    """
    setpriv = shutil.which("setpriv")
    guard = [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
    return await asyncio.create_subprocess_exec(
        *guard, *command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
    )


async def _listens(process: Process, port: int) -> bool:
    try:
        async with asyncio.timeout(_START_S):
            while process.returncode is None:
                if await _accepts(port):
                    return True
                await asyncio.sleep(0.02)
    except TimeoutError:
        pass
    return False


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True


async def _stopped(process: Process) -> None:
    """SIGTERM first: mosquitto saves its store on the way out."""
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
