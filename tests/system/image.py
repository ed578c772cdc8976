"""The image's steps without an engine: the Dockerfile is read, and each step is done in a root folder of its own.

This machine's root file system plays the base image: each stage is an overlay over it, whose upper half lies in
memory, with this repository and all that is personal hidden. `RUN` runs in a chroot there; `COPY` takes what
.dockerignore lets through. A container is the same root, read-only, in namespaces of its own for processes, mounts and
network, as the image's user, without a capability. What needs a registry is not proved: that the base image has what
Debian's Python has, and `apt-get install` (the packages are asked for on this machine instead).
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.system.daemon import ROOT
from tests.system.disks import not_permitted, run
from tests.waiting import until_sync

HIDDEN = ("tmp", "home", "work", "srv", "mnt", "media", "root/.ssh")
"""Not of a base image, and perhaps of this repository."""


class Step(NamedTuple):
    """One instruction of a Dockerfile."""

    word: str
    rest: str


def stages(text: str) -> list[list[Step]]:
    """The instructions by stage, each stage begun by its FROM; lines joined, comments out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found: list[list[Step]] = []
    for line in joined.splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            if word == "FROM":
                found.append([])
            found[-1].append(Step(word, rest.strip()))
    return found


def context(root: Path, ignore: str) -> list[Path]:
    """The files of the build's context, relative: the last pattern that matches a file or a folder above it wins."""
    patterns = [line for line in ignore.splitlines() if line and not line.startswith("#")]
    kept = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in (".git", ".venv")]
        for name in files:
            file = (Path(folder) / name).relative_to(root)
            if not _ignored(file, patterns):
                kept.append(file)
    return sorted(kept)


def _ignored(file: Path, patterns: Sequence[str]) -> bool:
    ignored = False
    for pattern in patterns:
        plain = pattern.lstrip("!").rstrip("/")
        names = [file, *file.parents][:-1]
        if any(_matches(name, plain) for name in names):
            ignored = not pattern.startswith("!")
    return ignored


def _matches(name: Path, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch.fnmatch(name.name, pattern[3:])
    same_depth = len(name.parts) == len(Path(pattern).parts)
    return same_depth and fnmatch.fnmatch(str(name), pattern)


def _below(path: Path, places: Sequence[str]) -> bool:
    return any(path.is_relative_to(f"/{place}") for place in places)


class Stage:
    """One stage while it is built: a root folder, and what the instructions have set."""

    def __init__(self, folder: Path, memory: Path, name: str) -> None:
        self.root, upper, work = folder / name, memory / f"{name}.upper", memory / f"{name}.work"
        for path in (self.root, upper, work):
            path.mkdir()
        layers = f"lowerdir=/,upperdir={upper},workdir={work}"
        run("mount", "-t", "overlay", "-o", layers, "overlay", self.root)
        self.env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.workdir, self.user = "/", "0:0"
        self.words: dict[str, list[str]] = {}
        self.labels: dict[str, str] = {}
        self.volumes: list[str] = []
        self.args: dict[str, str] = {}

    def as_base_image(self) -> None:
        """What the base image is: a `python` on PATH, none of our files, nothing of a service that runs here."""
        base = Path(os.path.realpath(f"{sys.base_prefix}/bin/python3"))
        # not a link from elsewhere: a Python finds its library beside the folder that it was started from
        self.env["PATH"] = f"{base.parent}:{self.env['PATH']}"
        link = self.root / base.parent.relative_to("/") / "python"
        if not link.exists():
            link.symlink_to(base.name)
        # a Python below somebody's home is no other user's to look into; here it plays /usr/local
        for parent in base.parents[:-1]:
            inside = self.root / parent.relative_to("/")
            inside.chmod(inside.stat().st_mode | 0o011)
        shutil.rmtree(self.root / "opt/callwatch", ignore_errors=True)

    def hides(self) -> list[str]:
        """Commands that cover what no base image has, and give an empty /tmp."""
        places = [self.root / one for one in HIDDEN if (self.root / one).is_dir()]
        places += [self.root / ROOT.relative_to("/")] if not _below(ROOT, HIDDEN) else []
        return [f"mount -t tmpfs -o mode=1777,size=256m tmpfs {place}" for place in places]

    def inside(self, path: str) -> Path:
        """A path of the image, as this machine sees it."""
        return self.root / os.path.normpath(os.path.join(self.workdir, path)).lstrip("/")

    def expand(self, text: str) -> str:
        """`$NAME` and `${NAME}` of ENV and ARG."""
        known = self.args | self.env
        return re.sub(r"\$\{?(\w+)\}?", lambda found: known.get(found[1], ""), text)

    def runs(self, command: str) -> None:
        """RUN: in a shell, in a chroot, as the user, with what pip knows of this machine's index."""
        binds = ["mount --make-rprivate /"]
        binds += [f"mount --rbind /{name} {self.root}/{name}" for name in ("proc", "dev")] + self.hides()
        index = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        home = {"HOME": os.environ.get("HOME", "/root")}
        inner = ["chroot", str(self.root), "/bin/sh", "-c", f"cd {shlex.quote(self.workdir)} && {command}"]
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", " && ".join([*binds, "exec " + shlex.join(inner)])],
            env=self.env | index | home,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"RUN {command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"

    def unmount(self) -> None:
        """Gone."""
        run("umount", "-l", self.root)


class Image:
    """What the last stage became."""

    def __init__(self, folder: Path, memory: Path) -> None:
        self.folder, self.memory = folder, memory
        self.files = context(ROOT, (ROOT / ".dockerignore").read_text())
        self._named: dict[str, Stage] = {}
        self._apt: set[str] = set()
        self.stage: Stage

    def build(self) -> None:
        """Every stage, every step, in its order."""
        for number, steps in enumerate(stages((ROOT / "Dockerfile").read_text())):
            self.stage = Stage(self.folder, self.memory, f"stage{number}")
            self._named[str(number)] = self.stage
            for step in steps:
                getattr(self, f"_{step.word.lower()}")(step.rest)

    def close(self) -> None:
        """Unmount what was built."""
        for stage in set(self._named.values()):
            stage.unmount()

    def _from(self, rest: str) -> None:
        image, _, name = rest.partition(" AS ")
        found = re.fullmatch(r"python:(\d+)\.(\d+)\.\d+-slim-[a-z]+", image)
        assert found, f"{image}: expected a pinned python:X.Y.Z-slim-RELEASE"
        assert (int(found[1]), int(found[2])) == sys.version_info[:2], f"{image} is not this Python"
        if name:
            self._named[name] = self.stage
        self.stage.as_base_image()

    def _workdir(self, rest: str) -> None:
        self.stage.workdir = os.path.join(self.stage.workdir, rest)
        self.stage.inside(".").mkdir(parents=True, exist_ok=True)

    def _run(self, rest: str) -> None:
        apt = re.fullmatch(
            r"apt-get update && apt-get install --yes --no-install-recommends ([a-z0-9 .+-]+) "
            r"&& rm -rf /var/lib/apt/lists/\*",
            rest,
        )
        if apt:
            for package in apt[1].split():
                assert shutil.which(package), f"{package} is not on this machine; script/test installs it"
            return
        self.stage.runs(rest)

    def _copy(self, rest: str) -> None:
        words = shlex.split(rest)
        source = re.fullmatch(r"--from=(\w+)", words[0])
        *what, to = words[1:] if source else words
        for one in what:
            if source:
                run("cp", "-a", self._named[source[1]].inside(one), self.stage.inside(to))
            else:
                self._copy_from_context(one, to)

    def _copy_from_context(self, one: str, to: str) -> None:
        """A folder's contents go into the destination, a file goes below it."""
        below = Path(one)
        found = [file for file in self.files if file == below or below in file.parents]
        assert found, f"COPY {one}: nothing of it is in the context"
        for file in found:
            inner = file.relative_to(below) if file != below else Path(file.name)
            target = self.stage.inside(to) / inner
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, target)

    def _env(self, rest: str) -> None:
        for pair in shlex.split(rest):
            name, _, value = pair.partition("=")
            self.stage.env[name] = self.stage.expand(value)

    def _arg(self, rest: str) -> None:
        name, _, value = rest.partition("=")
        self.stage.args[name] = value

    def _label(self, rest: str) -> None:
        for pair in shlex.split(rest):
            name, _, value = pair.partition("=")
            self.stage.labels[name] = self.stage.expand(value)

    def _user(self, rest: str) -> None:
        self.stage.user = rest

    def _volume(self, rest: str) -> None:
        self.stage.volumes.append(rest)

    def _words_of(self, name: str, rest: str) -> None:
        words = json.loads(rest)  # only the exec form is JSON: with a shell between, no signal arrives
        self.stage.words[name] = [str(word) for word in words]

    def _entrypoint(self, rest: str) -> None:
        self._words_of("ENTRYPOINT", rest)

    def _cmd(self, rest: str) -> None:
        self._words_of("CMD", rest)

    def _healthcheck(self, rest: str) -> None:
        self._words_of("HEALTHCHECK", rest.partition(" CMD ")[2])

    def _stopsignal(self, rest: str) -> None:
        self.stage.words["STOPSIGNAL"] = [rest]

    def _expose(self, rest: str) -> None:
        self.stage.words["EXPOSE"] = [rest]


LOOPBACK_UP = (
    "import fcntl, socket, struct\n"
    "with socket.socket() as wire:\n"
    "    fcntl.ioctl(wire, 0x8914, struct.pack('16sh', b'lo', 1))\n"
)
"""SIOCSIFFLAGS, IFF_UP: a network of one's own begins with loopback down."""


class Container:
    """The image as an engine would run it: read-only, a volume, a /tmp, nothing of this machine but the kernel."""

    def __init__(self, image: Image, folder: Path, files: Mapping[str, Path]) -> None:
        self._stage, self._files, self._folder = image.stage, dict(files), folder
        self.log = folder / "container.log"
        self._outer: subprocess.Popen[bytes] | None = None
        self.pid = 0
        self.volume = folder / "volume"
        shutil.copytree(self._stage.root / self._stage.volumes[0].lstrip("/"), self.volume)
        owner = (self._stage.root / self._stage.volumes[0].lstrip("/")).stat()
        os.chown(self.volume, owner.st_uid, owner.st_gid)
        os.chmod(self.volume, owner.st_mode & 0o7777)

    def _mounts(self) -> list[str]:
        root = self._stage.root
        lines = ["mount --make-rprivate /", f"mount --bind {root} {root}"]
        lines += [f"mount --rbind /dev {root}/dev", *self._stage.hides()]
        lines += [f"mount --bind {self.volume} {root}{self._stage.volumes[0]}"]
        for inside, outside in self._files.items():
            at = root / inside.lstrip("/")
            at.parent.mkdir(parents=True, exist_ok=True)
            at.touch()
            lines += [f"mount --bind {outside} {at}", f"mount -o remount,bind,ro {at}"]
        lines += [f"mount -o remount,bind,ro {root}", f"mount -t proc proc {root}/proc"]
        return [*lines, f"{sys.executable} -c {shlex.quote(LOOPBACK_UP)}"]

    def _as_user(self, *words: str) -> list[str]:
        user, _, group = self._stage.user.partition(":")
        drops = ["--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
        env = [f"{name}={value}" for name, value in self._stage.env.items()]
        return ["setpriv", f"--reuid={user}", f"--regid={group}", *drops, "env", "-i", *env, *words]

    def start(self) -> Container:
        """Started as process 1, and that is all that is known when this returns."""
        words = self._stage.words["ENTRYPOINT"] + self._stage.words["CMD"]
        there = shlex.join(
            ["sh", "-c", f'cd {self._stage.workdir} && exec "$@"', "sh", *self._as_user(*words)]
        )
        script = " && ".join([*self._mounts(), f"exec chroot {self._stage.root} {there}"])
        own = ["--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"]
        with self.log.open("ab") as log:
            self._outer = subprocess.Popen(["unshare", *own, "sh", "-c", script], stdout=log, stderr=log)
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
        self.pid = int(until_sync(lambda: children.read_text().split(), what="process 1")[0])
        first = Path(self._stage.words["ENTRYPOINT"][0]).name
        until_sync(lambda: Path(f"/proc/{self.pid}/comm").read_text().strip() == first, what=first)
        return self

    def does(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What `docker exec` does: a command beside it, as the same user."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--root", "--wd"]
        return subprocess.run(
            [*enter, *self._as_user(*words)], capture_output=True, text=True, timeout=30, check=False
        )

    def daemon(self) -> int:
        """The process number, as this machine counts, of process 1's one child."""
        (child,) = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(child)

    def health(self) -> int:
        """The exit code of HEALTHCHECK."""
        return self.does(*self._stage.words["HEALTHCHECK"]).returncode

    def said(self) -> str:
        """Everything on stdout and stderr."""
        return self.log.read_text(errors="replace")

    def stop(self) -> int:
        """STOPSIGNAL to process 1; the container's exit code."""
        assert self._outer is not None
        os.kill(self.pid, getattr(signal, self._stage.words["STOPSIGNAL"][0]))
        return self._outer.wait(60)

    def remove(self) -> None:
        """Gone, whatever it does."""
        if self._outer is not None and self._outer.poll() is None:
            self._outer.kill()  # --kill-child takes process 1 with it, and that takes all the others
            self._outer.wait(10)


@contextmanager
def built(folder: Path) -> Iterator[Image]:
    """The image, for as long as the block lasts."""
    memory = folder / "memory"
    memory.mkdir()
    try:
        run("mount", "-t", "tmpfs", "-o", "size=2g,mode=755", "tmpfs", memory)
    except (AssertionError, OSError) as error:
        not_permitted(error)
    image = Image(folder, memory)
    try:
        image.build()
        yield image
    finally:
        image.close()
        run("umount", "-l", memory)
