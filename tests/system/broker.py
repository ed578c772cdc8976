"""A real mosquitto on a free port in a folder of its own: started, killed, stopped in its tracks, started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.ports import free_port
from tests.waiting import until_sync

SHIPPED = Path(__file__).parents[2] / "config" / "mosquitto"
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
LOOPBACK = "127.0.0.1"
# started by root it would become another user, who may not write into this test's folder
_AS_ROOT = "user root" if os.geteuid() == 0 else ""


def accepts(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


class Certificate:
    """A throw-away certificate for 127.0.0.1 that vouches for itself."""

    def __init__(self, folder: Path) -> None:
        self.cert, self.key = folder / "server.crt", folder / "server.key"
        subprocess.run(
            [
                *(
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                    "-nodes",
                ),
                *(
                    "-keyout",
                    str(self.key),
                    "-out",
                    str(self.cert),
                    "-days",
                    "2",
                    "-subj",
                    "/CN=callwatch test",
                ),
                *("-addext", "subjectAltName=IP:127.0.0.1"),
            ],
            check=True,
            capture_output=True,
            timeout=30,
        )


class Mosquitto:
    """One broker. `options` are lines of mosquitto.conf; `shipped` takes our own file instead, ACL and all."""

    def __init__(
        self,
        folder: Path,
        *,
        options: str = "",
        certificate: Certificate | None = None,
        passwords: dict[str, str] | None = None,
    ) -> None:
        self.folder, self.port, self.certificate = folder, free_port(), certificate
        self.log = folder / "mosquitto.log"
        self._conf = folder / "mosquitto.conf"
        self._process: subprocess.Popen[bytes] | None = None
        text = self._plain(options) if passwords is None else self._shipped(passwords)
        self._conf.write_text(text + f"log_dest file {self.log}\nlog_timestamp_format %H:%M:%S\n")

    def _plain(self, options: str) -> str:
        tls = self.certificate
        secured = f"certfile {tls.cert}\nkeyfile {tls.key}\n" if tls else ""
        kept = f"persistence true\npersistence_location {self.folder}/\n{_AS_ROOT}\n"
        return f"{kept}{options}\nlistener {self.port} {LOOPBACK}\nallow_anonymous true\n{secured}"

    def _shipped(self, passwords: dict[str, str]) -> str:
        """The shipped file with this test's paths; without TLS, which has a test of its own."""
        names = self.folder / "passwd"
        names.touch(mode=0o600)
        for name, password in passwords.items():
            command = ["mosquitto_passwd", "-b", str(names), name, password]
            subprocess.run(command, check=True, capture_output=True, timeout=30)
        ours = {
            "persistence_location": f"{self.folder}/\n{_AS_ROOT}",
            "listener": f"{self.port} {LOOPBACK}",
            "password_file": str(names),
            "acl_file": str(SHIPPED / "acl"),
            "cafile": None,
            "certfile": None,
            "keyfile": None,
        }
        lines = []
        for line in (SHIPPED / "mosquitto.conf").read_text().splitlines():
            key = line.split(" ", 1)[0]
            value = ours.get(key, line.partition(" ")[2])
            lines += [] if value is None else [f"{key} {value}" if key in ours else line]
        return "\n".join(lines) + "\n"

    @property
    def url(self) -> str:
        """Where it listens, as callwatch's configuration names it."""
        return f"{'mqtts' if self.certificate else 'mqtt'}://{LOOPBACK}:{self.port}"

    def start(self) -> Mosquitto:
        """Running and listening when it returns."""
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until_sync(lambda: accepts(self.port), what="mosquitto listens")
        return self

    def send(self, number: signal.Signals) -> None:
        """A signal, such as SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL: nothing is saved on the way out."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM: the store is saved."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def __enter__(self) -> Mosquitto:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.kill()


def _session(version: Literal["5", "3.1.1"], client_id: str) -> paho.Client:
    if version == "5":
        return paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5)
    return paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv311)


@contextmanager
def phone(
    broker: Mosquitto,
    *,
    name: str | None = None,
    password: str | None = None,
    version: Literal["5", "3.1.1"] = "3.1.1",
    client_id: str = "",
) -> Iterator[paho.Client]:
    """A connected client with a thread of its own, as a phone's app is one."""
    client = _session(version, client_id)
    client.max_inflight_messages_set(1000)
    if name is not None:
        client.username_pw_set(name, password)
    client.connect(LOOPBACK, broker.port)
    client.loop_start()
    try:
        until_sync(client.is_connected, what="the phone is connected")
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def publish(client: paho.Client, messages: Iterable[tuple[str, bytes]], *, retain: bool = False) -> None:
    """Published at QoS 1 and acknowledged by the broker when it returns."""
    sent = [client.publish(topic, body, 1, retain) for topic, body in messages]
    for one in sent:
        one.wait_for_publish(30)
        assert one.is_published()


def response_to(topic: str, correlation: bytes) -> Properties:
    """MQTT 5: where the answer is awaited."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ResponseTopic = topic
    properties.CorrelationData = correlation
    return properties
