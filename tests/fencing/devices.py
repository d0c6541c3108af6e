"""A fence agent of our own that follows the fence agent API and acts on a file, or on processes."""

import sys
from pathlib import Path

AGENT = """#!{python} -I
import json, os, pathlib, shutil, signal, sys, time
place = pathlib.Path(__file__).with_suffix(".state")
if sys.argv[1:] == ["-o", "metadata"]:
    print('''<?xml version="1.0" ?>
<resource-agent name="fence_toy" shortdesc="Acts on a directory of files">
<parameters><parameter name="action"/><parameter name="plug"/><parameter name="password"/></parameters>
<actions><action name="on"/><action name="off"/><action name="reboot"/><action name="status"/>
<action name="monitor"/><action name="metadata"/></actions></resource-agent>''')
    sys.exit(0)
given = dict(line.rstrip("\\n").split("=", 1) for line in sys.stdin if "=" in line)
place.mkdir(exist_ok=True)
action, plug = given.pop("action"), given.get("plug", "")
with (place / "log").open("a") as log:
    log.write(json.dumps([action, plug, given, sys.argv[1:], dict(os.environ)]) + "\\n")
def word(name):
    path = place / name
    return path.read_text() if path.exists() else ""
mood = word("mood")  # what a test makes of it: fail, lie, hang, once
if mood == "hang":
    time.sleep(600)
if mood == "fail" or (mood == "once" and action == "off" and not (place / "tried").exists()):
    (place / "tried").touch()
    print("the device is not reachable", file=sys.stderr)
    sys.exit(1)
if action == "monitor":
    sys.exit(0)
if action == "status":
    off = word(plug) == "off"
    print("Status:", "OFF" if off else "ON")
    sys.exit(2 if off else 0)
if action == "on" and mood == "stays off":
    sys.exit(1)
if action in ("off", "reboot") and mood != "lie":
    victims = place / (plug + ".pids")
    for word in victims.read_text().split() if victims.exists() else ():
        try:  # a node that is only processes: groups, and a run directory with files of process ids
            if word.isdigit():
                os.killpg(int(word), signal.SIGKILL)
            else:
                for file in pathlib.Path(word).rglob("*.pid"):
                    os.kill(int(file.read_text()), signal.SIGKILL)
                shutil.rmtree(word)
        except (OSError, ValueError):
            pass
if mood != "lie":
    (place / plug).write_text("off" if action == "off" else "on")
"""


def install(directory: Path, name: str = "fence_toy") -> Path:
    """Write the agent; returns the directory of its state."""
    program = directory / name
    program.write_text(AGENT.replace("{python}", sys.executable))
    program.chmod(0o755)
    state = program.with_suffix(".state")
    state.mkdir()
    return state
