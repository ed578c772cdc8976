"""The command line, one file a command: `add(parser)` declares its arguments, `run(args)` returns the exit code.

Exit codes (docs/interface.md): 0 ok, 1 problems found, 2 usage or a configuration that cannot start, 3 store locked
or not writable.
"""
