"""The container image, as far as it can be proved without an engine: see tests/system/image.py."""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import argon2
import pytest

from config.tokens import hash_token
from connectors.probe import main as probe
from tests.ports import free_port
from tests.system.daemon import ROOT, Daemon, in_s, rfc, table, toml
from tests.system.image import Container, Image, Step, built, context, stages
from tests.system.stores import server_of
from tests.waiting import until_sync

WIRE = "/run/redis.sock"
OPERATOR = "an-operator-of-the-image"
DRAIN_S = 10.0
pytestmark = pytest.mark.timeout(240)  # the packages are installed anew
of_the_image = pytest.mark.store_once("it is built once, and runs on both stores")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    with built(tmp_path_factory.mktemp("image")) as one:
        yield one


@pytest.fixture(params=["sqlite", "redis"])
def container(
    request: pytest.FixtureRequest, image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    folder = tmp_path_factory.mktemp("container")
    config, secret = folder / "callwatch.toml", folder / "operator"
    config.write_text(_configuration())
    secret.write_text(OPERATOR + "\n")
    files = {"/etc/callwatch/callwatch.toml": config, "/run/secrets/callwatch_operator": secret}
    if request.param == "redis":
        # its network is its own: the server is reached by a file, whose path must be short
        wire = tmp_path_factory.mktemp("s") / "redis.sock"
        server_of(folder / "volume", unixsocket=str(wire), unixsocketperm="777")
        config.write_text(_configuration() + table("store", {"url": f"unix://{WIRE}"}))
        files[WIRE] = wire
    one = Container(image, folder, files)
    yield one
    one.remove()


def _configuration() -> str:
    token = {"hash": hash_token(OPERATOR), "role": "operator", "desk": "*", "expires": rfc(in_s(86_400))}
    password = argon2.PasswordHasher(time_cost=1, memory_cost=64).hash("a password of the image")
    desk = {"id": "bright", "kind": "provider", "name": "Bright Care"}
    return "\n".join(
        [
            f"data_dir = {toml('elsewhere')}\ndrain_s = {DRAIN_S}",
            table("http", {"listen": "0.0.0.0:8080", "password_hash": password}),
            table("[http.token]", token),
            table("[desk]", desk),
        ]
    )


@of_the_image
def test_it_runs_read_only_as_nobody_in_particular_is_well_and_ends_in_order(container: Container) -> None:
    container.start()
    until_sync(lambda: container.health() == 0, 40, 0.2, "the health check is 0")
    until_sync(lambda: container.does("python", "-m", "connectors.probe", "--ready").returncode == 0, 30)
    for line in Path(f"/proc/{container.daemon()}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("Uid", "Gid"):
            assert set(value.split()) == {"10001"}, line
        if name.startswith("Cap"):
            assert int(value, 16) == 0, line
        if name == "NoNewPrivs":
            assert value.strip() == "1"
    for path in ("/opt/callwatch/x", "/etc/x", "/x"):
        assert "Read-only" in container.does("touch", path).stderr, path
    assert container.does("touch", "/tmp/x", "/var/lib/callwatch/x").returncode == 0
    os.kill(container.daemon(), signal.SIGSTOP)
    assert container.health() == 1, "a daemon that answers nothing is well"
    os.kill(container.daemon(), signal.SIGCONT)
    began = time.monotonic()
    assert container.stop() == 0, container.said()
    assert time.monotonic() - began < DRAIN_S
    (kept,) = [name for name in ("callwatch.db", "instance.id") if (container.volume / name).exists()]
    assert (container.volume / kept).stat().st_uid == 10_001
    assert stat.S_IMODE(container.volume.stat().st_mode) == 0o700
    assert '"event":"ready"' in container.said()


@of_the_image
def test_the_image_has_the_locked_packages_and_nothing_to_build_with(image: Image) -> None:
    found = image.stage.root / "opt/callwatch/lib"
    (packages,) = found.glob("python*/site-packages")
    names = {path.name.split("-")[0].lower() for path in packages.glob("*.dist-info")}
    lock = (ROOT / "requirements" / "run.txt").read_text().splitlines()
    locked = {
        line.split("==")[0].replace("-", "_").lower()
        for line in lock
        if line[:1].isalnum() and "platform_system == 'Windows'" not in line and "win32" not in line
    }
    assert {name.replace("-", "_") for name in names} - locked == {"callwatch", "pip"}
    assert not {"setuptools", "wheel", "pytest"} & names
    assert (packages / "config" / "policies" / "bromley.toml").is_file()
    assert not (packages / "tests").exists()


@of_the_image
def test_it_is_labelled_and_its_words_are_for_no_shell(image: Image) -> None:
    stage = image.stage
    assert stage.labels["org.opencontainers.image.title"] == "callwatch"
    assert stage.labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    version = stage.labels["org.opencontainers.image.version"]
    assert f'version = "{version}"' in (ROOT / "pyproject.toml").read_text()
    assert stage.words["ENTRYPOINT"][0] == "/usr/bin/tini"
    assert stage.words["STOPSIGNAL"] == ["SIGTERM"]
    assert stage.user == "10001:10001"


# --- what reads the Dockerfile ---


def test_lines_are_joined_and_stages_told_apart() -> None:
    text = "# no\nFROM a AS b\nRUN x \\\n    # inside\n    && y\n\nFROM c\nCOPY --from=b / /\n"
    first = [Step("FROM", "a AS b"), Step("RUN", "x  && y")]
    assert stages(text) == [first, [Step("FROM", "c"), Step("COPY", "--from=b / /")]]


def test_no_secret_data_or_test_gets_into_the_context(tmp_path: Path) -> None:
    kept = ["README.md", "config/load.py", "config/policies/x.toml", "requirements/run.txt"]
    left = ["deploy/secrets/x", "tests/a.py", "requirements/dev.txt", "config/__pycache__/a.pyc", "data/x.db"]
    for name in kept + left:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = context(tmp_path, (ROOT / ".dockerignore").read_text())
    assert [str(path) for path in found] == sorted(kept)


# --- the health check by itself ---


def test_the_probe_tells_ready_from_alive_and_gone(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    assert (probe([nobody]), probe([nobody, "--ready"])) == (1, 1)
    with Daemon(tmp_path) as daemon:
        assert (probe([daemon.url]), probe([daemon.url, "--ready"])) == (0, 0)
        secret = tmp_path / "ended"
        secret.write_text("cw_not_one_of_theirs")
        # a wrong token is an error of whoever runs it, and hides how the daemon is
        assert probe([daemon.url, "--secret", str(secret)]) == 0, "on loopback nobody is asked for one"
