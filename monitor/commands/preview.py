"""What would happen, and when, for each visit of a rota: when it is due, who is on duty then, which council desk, and
the late-visit procedure as a timeline if nobody came and nobody answered. Nothing is stored or sent."""

from __future__ import annotations

import argparse
import os
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import reset_tzpath

import msgspec

from config.load import DeskConfig, Loaded, PolicyRefused, load, policy_named
from config.policy import Calendar, decode_policy
from connectors.ports import ApiProblem
from monitor.commands.common import (
    OK,
    PROBLEMS,
    Stop,
    complain,
    read_object,
    say,
    say_json,
    say_problems,
    stopped,
)
from monitor.preview import Preview, VisitPreview, preview
from monitor.preview_words import CallShown, MessagesShown, TextShown, preview_messages
from monitor.rota_reader import read_moment
from monitor.wording_file import with_words


def add(parser: argparse.ArgumentParser) -> None:
    """`callwatch preview --config PATH [--desk D] [--policy P] --rota FILE [--at INSTANT] [--people FILE] [--json]`, or
    `callwatch preview --messages [--config PATH] [--desk D] [--json]`."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--messages", action="store_true", help="every word that would be sent or said")
    what.add_argument("--rota", type=Path, metavar="FILE", help="a body of PUT …/rota")
    parser.add_argument(
        "--config", type=Path, metavar="PATH", help="may be left out with --messages: the words as shipped"
    )
    parser.add_argument("--desk", metavar="D", help="needed when the configuration has several")
    parser.add_argument("--policy", metavar="P", help="in place of the desk's own; its overrides stay")
    parser.add_argument("--people", type=Path, metavar="FILE", help="a body of PUT …/people")
    parser.add_argument(
        "--at", metavar="INSTANT", help="the now for which the rota is read (the day before the first visit)"
    )
    parser.add_argument("--json", action="store_true", help='{"visits":[…],"problems":[…]}, instants in UTC')


def run(args: argparse.Namespace) -> int:
    """0; 1 when a row would not be watched, the rota is none, or words may not be said; 2 for usage or a configuration
    that cannot start."""
    reset_tzpath(())  # the pinned tzdata, as the daemon does
    try:
        if args.messages:
            return _messages(args)
        desk = _desk(args)
        found = preview(desk, read_object(args.rota), people=_people(args.people), at=_at(args.at, desk))
    except Stop as stop:
        return stopped(stop)
    except ApiProblem as problem:
        complain(f"{args.rota}: {problem.path}: {problem.message} [{problem.code}]")
        return PROBLEMS
    if args.json:
        say_json(found)
    else:
        say(_in_words(found, desk))
    return PROBLEMS if found.refused else OK


# --- what is asked ---


def _desk(args: argparse.Namespace) -> DeskConfig:
    if args.config is None:
        raise Stop("--config: expected the path of a configuration")
    loaded = load(args.config, os.environ)
    if not args.messages:  # where it is the words that are looked at, a problem of theirs is an answer
        loaded = with_words(loaded)
    if loaded.settings is None:
        say_problems(loaded, args.config)
        raise Stop(f"{args.config} cannot be used")
    for warning in loaded.warnings:
        if warning.code == "no_number":
            complain(f"warning: {warning.path}: the timeline is as if there were one; {warning.message}")
    ids = [desk.id for desk in loaded.desks]
    if args.desk is None and len(ids) > 1:
        raise Stop(f"--desk: expected one of {', '.join(ids)}")
    for desk in loaded.desks:
        if args.desk in (None, desk.id):
            return desk if args.policy is None else _under(args.policy, desk, loaded)
    raise Stop(f"--desk: no such desk; expected one of {', '.join(ids)}")


def _under(name: str, desk: DeskConfig, loaded: Loaded) -> DeskConfig:
    """The desk as if its key `policy` said `name`."""
    assert loaded.settings is not None
    overrides = next(written.overrides for written in loaded.settings.desk if written.id == desk.id)
    try:
        policy = decode_policy(overrides, policy_named(name))
    except PolicyRefused as refused:
        raise Stop(f"--policy: {refused}; expected {refused.problems[0].expected}") from refused
    return msgspec.structs.replace(desk, policy=policy)


def _people(path: Path | None) -> list[Any] | None:
    if path is None:
        return None
    people = read_object(path).get("people")
    if not isinstance(people, list):
        raise Stop(f"{path} cannot be used: expected a list of `people`")
    return people


def _at(text: str | None, desk: DeskConfig) -> datetime | None:
    if text is None:
        return None
    moment = read_moment(text, Calendar(zone=desk.policy.zone))
    if moment.at is None:
        raise Stop("--at: expected an RFC 3339 time, or a local time without an offset")
    return moment.at


# --- messages ---


def _messages(args: argparse.Namespace) -> int:
    if args.config is None and args.desk is not None:
        raise Stop("--desk: expected --config beside it")
    shown = preview_messages(_desk(args) if args.config is not None else None)
    if args.json:
        say_json(shown)
    else:
        say(_all_words(shown))
    return PROBLEMS if shown.refused else OK


def _all_words(shown: MessagesShown) -> str:
    blocks = [_text(text) for text in shown.texts]
    blocks += [_call(call) for call in shown.calls]
    blocks += [
        f"{other.id}  {other.kind} to {other.audience}  [{other.clause}]\n" + _indented(other.example)
        for other in shown.others
    ]
    blocks += [
        f"{problem.severity}: {problem.path}: {problem.message}; expected {problem.expected} [{problem.code}]"
        for problem in shown.problems
    ]
    return "\n\n".join(blocks)


def _text(text: TextShown) -> str:
    parts = f"{text.parts} part{'' if text.parts == 1 else 's'}, {text.length} characters of {text.alphabet}"
    lines = [
        f"{text.id}  text to {text.audience}  [{text.clause}]  {parts} at the longest",
        f"    {text.example}",
    ]
    return "\n".join([*lines, *([f"    {text.longest}"] if text.longest != text.example else [])])


def _call(call: CallShown) -> str:
    lines = [f"{call.id}  call to {call.audience}  [{call.clause}]"]
    for step in call.steps:
        lines += [f"  {step.step}", *(f"    {said}" for said in step.say)]
        turns = [*step.keys.items(), ("silence", step.silence), ("any other key", step.other)]
        led = ", ".join(f"{key}: {to}" for key, to in turns if to is not None)
        lines += [f"    ({led})"] if led else []
    return "\n".join(lines)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.split("\n"))


# --- in words ---


def _in_words(found: Preview, desk: DeskConfig) -> str:
    """Local times, with the name of their offset: on the nights of the change that is the point."""
    calendar = Calendar(zone=desk.policy.zone)
    blocks = [_visit(visit, calendar) for visit in found.visits]
    blocks += [
        f"{problem.severity}: people, row {problem.row}: {problem.message} [{problem.code}]"
        for problem in found.people_problems
    ]
    blocks += [
        f"{problem.severity}: row {problem.row}{f', {problem.visit}' if problem.visit else ''}:"
        f" {problem.message} [{problem.code}]"
        for problem in found.problems
    ]
    return "\n".join(blocks) or "the rota has no visit"


def _visit(visit: VisitPreview, calendar: Calendar) -> str:
    def local(at: datetime, form: str) -> str:
        return calendar.local(at).strftime(form)

    lines = [
        f"{visit.id}  {local(visit.start, '%a %d %b %Y %H:%M %Z')} to {local(visit.end, '%H:%M %Z')},"
        f" late at {local(visit.late_at, '%H:%M:%S %Z')}",
        f"  on duty then: {', '.join(visit.duty) or 'NOBODY'}; council desk: {visit.council_desk or 'none'}",
        *(f"  {local(step.at, '%H:%M:%S %Z')}  {step.step}" for step in visit.timeline),
    ]
    if visit.check_out:
        lines.append("  if they come, and do not check out:")
    lines += [f"  {local(step.at, '%H:%M:%S %Z')}  {step.step}" for step in visit.check_out]
    return "\n".join(lines) + "\n"
