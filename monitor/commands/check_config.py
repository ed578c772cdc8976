"""(being written)"""

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Nothing yet."""


def run(args: argparse.Namespace) -> int:
    """Nothing yet."""
    raise NotImplementedError
