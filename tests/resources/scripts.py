"""Scripts for the script hand, good and bad, written into a test's own directory."""

import json
import textwrap
from pathlib import Path

from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import Kind, Service
from reconciler.ports import OperationContext

DAEMON = """\
#!/bin/bash
# A daemon with a pid file: detached, and deaf to the terminal. $1 is the action.
pidfile=$RECONCILE_RUN/$RECONCILE_SERVICE.pid
alive() { [ -s "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null; }
case $1 in
start)
  alive && exit 0
  setsid sleep 1000 </dev/null >/dev/null 2>&1 &
  echo $! > "$pidfile" ;;
stop)
  alive || exit 0
  kill "$(cat "$pidfile")"
  while alive; do sleep 0.01; done
  rm -f "$pidfile" ;;
status)
  alive && exit 0
  exit 3 ;;
esac
"""


def context(directory: Path, *, timeout_ms: int = 5_000, **more) -> OperationContext:
    """A context whose run directory is the test's own."""
    run_directory = directory / "run"
    run_directory.mkdir(exist_ok=True)
    return OperationContext(
        node=NodeName("alpha"), timeout_ms=Millis(timeout_ms), run_directory=run_directory, **more
    )


def script(directory: Path, name: str, text: str) -> str:
    """Write a script and return its path."""
    path = directory / name
    path.write_text(textwrap.dedent(text))
    path.chmod(0o755)
    return str(path)


def service(
    directory: Path,
    *,
    name: str = "web",
    pidfile: str | None = None,
    texts: dict[str, str] | None = None,
    **settings: str,
) -> Service:
    """A script service: DAEMON for all three commands, but for those whose own text is given."""
    daemon = script(directory, "daemon", DAEMON)
    parameters = {action: json.dumps([daemon, action]) for action in ("start", "stop", "status")}
    for action, text in (texts or {}).items():
        path = script(directory, f"{name}-{action}", "#!/bin/bash\n" + text)
        parameters[action] = json.dumps([path, action])
    if pidfile is not None:
        parameters["pidfile"] = pidfile
    return Service(
        name=ServiceName(name),
        kind=Kind.SCRIPT,
        parameters=tuple(sorted((parameters | settings).items())),
    )
