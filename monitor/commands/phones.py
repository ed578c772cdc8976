"""The stand-in telephone network alone: Twilio's REST API, signed webhooks, and a page on which people read texts,
answer calls and press keys. Nothing ever leaves for a real telephone."""

from __future__ import annotations

import argparse
import asyncio
import math
import signal
from pathlib import Path

from config.settings import is_loopback
from connectors.twilio.standin import run_phones
from monitor.commands.common import OK, Stop, complain, listen_address, stopped
from monitor.commands.run import say_ready


def add(parser: argparse.ArgumentParser) -> None:
    """`callwatch phones --listen H:P [--sms-url U] [--voice-url U] [--auth-token T | --token-file F]… [--speed N]`."""
    parser.add_argument(
        "--listen", required=True, type=listen_address, metavar="H:P", help="port 0: any free one"
    )
    parser.add_argument("--sms-url", default="", metavar="URL", help="where texts that people write are sent")
    parser.add_argument(
        "--voice-url", default="", metavar="URL", help="where calls that people make are sent"
    )
    parser.add_argument(
        "--auth-token",
        action="append",
        default=[],
        metavar="T",
        help="a token of the account; the first one signs (any account's own, unless given)",
    )
    parser.add_argument(
        "--token-file", action="append", default=[], type=Path, metavar="FILE", help="the same, from a file"
    )
    parser.add_argument(
        "--speed", type=_speed, default=1.0, metavar="N", help="N times as fast as real calls"
    )


def run(args: argparse.Namespace) -> int:
    """0 after SIGTERM or SIGINT; 2 when it cannot listen, or a token file cannot be read."""
    host, port = args.listen
    try:
        tokens = [*args.auth_token, *(_token(path) for path in args.token_file)]
        if not is_loopback(host):
            complain("whoever reaches this address reads every text and answers every call")
        asyncio.run(_serve(args, tokens))
    except Stop as stop:
        return stopped(stop)
    except OSError as error:
        return stopped(Stop(f"cannot listen on {host}:{port}: {error.strerror or type(error).__name__}"))
    return OK


def _speed(text: str) -> float:
    speed = float(text)
    if not (math.isfinite(speed) and speed > 0):
        raise ValueError
    return speed


def _token(path: Path) -> str:
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Stop(f"{path} cannot be read: expected a file with a token") from error
    if not token:
        raise Stop(f"{path} is empty: expected a file with a token")
    return token


async def _serve(args: argparse.Namespace, tokens: list[str]) -> None:
    """Until a signal. Raises OSError when it cannot listen."""
    host, port = args.listen
    serving = run_phones(
        host,
        port,
        auth_tokens=tokens,
        sms_url=args.sms_url,
        voice_url=args.voice_url,
        speed=args.speed,
        on_ready=lambda url: say_ready(url.removeprefix("http://")),
    )
    work = asyncio.create_task(serving, name="phones")
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    await asyncio.wait([work])
    if not work.cancelled():
        work.result()
