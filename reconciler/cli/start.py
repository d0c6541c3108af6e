"""What the `reconcile` script calls: prepares the interpreter, then brings in the commands.

Most commands live for a blink and spend it on imports. So the garbage collector looks less often, and
pydantic does not search the machine for plugins, of which there are none.
"""

import gc
import os

_ALLOCATIONS_BETWEEN_LOOKS = 100_000


def main() -> None:
    """Run the command line."""
    gc.set_threshold(_ALLOCATIONS_BETWEEN_LOOKS, 20, 20)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from reconciler.cli.app import main as run

    run()
