"""The console script; it answers `--help` and a mistyped command before torch is imported."""

import os
import sys
from collections.abc import Sequence
from textwrap import indent

from xrec_lightning.dispatch import (
    OTHER_COMMANDS,
    TRAINER_COMMANDS,
    UnknownCommandError,
    run_command,
)

DESCRIPTION = "Cross-domain recommendation through language models."
TRACEBACK = "XREC_TRACEBACK"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 1 after an error, 2 without a command."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_help())
        return 0 if words else 2
    try:
        run_command(words)
    except UnknownCommandError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except (ValueError, OSError) as error:
        if os.environ.get(TRACEBACK):
            raise
        sys.stderr.write(f"error: {error}\n({TRACEBACK}=1 shows where)\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return 0


def _help() -> str:
    commands = {**TRAINER_COMMANDS, **OTHER_COMMANDS}
    lines = "\n".join(f"{name:<13} {line}" for name, line in commands.items())
    return (
        f"usage: xrec COMMAND ...\n\n{DESCRIPTION}\n\ncommands:\n{indent(lines, '  ')}\n\n"
        "`xrec COMMAND --help` explains each one.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
