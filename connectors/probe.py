"""Asks a daemon on this machine how it is, for a container's health check: `python -m connectors.probe [URL]`.

Ends with 0 when the daemon answers, with 1 when it does not: nobody listens, nothing comes within 4 s, an error. It
asks /healthz, which is answered in degraded mode too: a watch that cannot write must not be ended for it, what is not
on disk is only in its memory. `--ready` asks /readyz: started, drained, store writable.

Away from loopback both ask for an operator's token, from the file that `--secret` names. Without that file a refusal
(401) still proves that the loop answers, and no more than that. Only the standard library is imported: it runs every
few seconds.
"""

from __future__ import annotations

import argparse
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

HERE = "http://127.0.0.1:8080"
SECRET = Path("/run/secrets/callwatch_operator")
LONGEST_S = 4.0
WELL, NOT_WELL = 0, 1


def main(words: Sequence[str]) -> int:
    """The exit code."""
    args = _read(words)
    headers = {"Authorization": f"Bearer {args.secret.read_text().strip()}"} if args.secret.is_file() else {}
    url = args.url.rstrip("/") + ("/readyz" if args.ready else "/healthz")
    # no proxy of the environment: it is this machine that is asked
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(urllib.request.Request(url, headers=headers), timeout=LONGEST_S).close()  # noqa: S310 - http, as given by whoever runs it
    except urllib.error.HTTPError as error:
        with error:
            alive = error.code == 401 and not headers and not args.ready
        return WELL if alive else _complain(f"answered {error.code}")
    except (OSError, ValueError) as error:
        return _complain(type(error).__name__)
    return WELL


def _read(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m connectors.probe", description="Is the daemon well?")
    parser.add_argument("url", nargs="?", default=HERE, help=f"where it listens ({HERE})")
    parser.add_argument("--ready", action="store_true", help="ask /readyz: may it be spoken to?")
    parser.add_argument("--secret", type=Path, default=SECRET, help=f"an operator's token ({SECRET})")
    return parser.parse_args(words)


def _complain(what: str) -> int:
    sys.stderr.write(f"callwatch is not well: {what}\n")
    return NOT_WELL


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
