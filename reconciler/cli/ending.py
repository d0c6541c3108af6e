"""The end of every command: one status, whatever happened, and no word more than needed.

Imports nothing that a command which went well does not need.
"""

import gc
import os
import sys
from collections.abc import Callable

_READER_GONE = 1


def ended(command: Callable[[], object]) -> int:
    """Carry out a command and return its status."""
    try:
        try:
            command()
            status = 0
        except SystemExit as ending:
            status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has had enough. Keep the interpreter from flushing into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_GONE
    except Exception as trouble:  # noqa: BLE001 - the last line of defence makes it one message
        from reconciler.cli.terminal import told

        return told(trouble)
    finally:
        gc.freeze()  # the interpreter would look through everything once more, only to end
    return status
