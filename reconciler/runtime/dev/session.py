"""One run of `reconcile dev`, from the first process to the last: start, tell what happens, end cleanly."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec

from reconciler.model.errors import ReconcilerError
from reconciler.runtime.client import Client
from reconciler.runtime.dev import control, story
from reconciler.runtime.dev.cluster import PORT, Cluster, Order, Tell
from reconciler.runtime.dev.premises import Premises

CONTEXT = Path(".reconcile/context.json")
LOOK_EVERY_S = 0.2


async def run(order: Order, state: Path, tell: Tell) -> None:
    """Run a cluster until SIGINT, SIGTERM or SIGHUP, and take all of it away again.

    Errors: `Refused` when it cannot be started; then too nothing stays.
    """
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    premises = Premises(state)
    with premises.held() as left:
        if left:
            tell(f"an earlier run has crashed; {len(left)} of its processes were ended")
        cluster = Cluster(order, premises, tell)
        try:
            await cluster.start()
            tell(f"{len(order.intent.nodes)} nodes have power, the controller is {cluster.address}")
            with _context(order, cluster, premises):
                async with control.serve(state, cluster.obey), _watching(cluster, premises, tell):
                    await stop.wait()
            tell("ending: every machine loses its power")
        finally:
            await cluster.end()
    tell("ended, and nothing is left")


@contextlib.contextmanager
def _context(order: Order, cluster: Cluster, premises: Premises) -> Iterator[None]:
    """Let commands typed in this directory find the cluster, for as long as it runs."""
    CONTEXT.parent.mkdir(exist_ok=True)
    ignore = CONTEXT.parent / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="ascii")
    context = {
        "controller": f"{cluster.address}:{PORT}",
        "pki": str(premises.pki),
        "cluster": os.path.relpath(order.files),
    }
    fresh = CONTEXT.with_suffix(".new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(context)) + b"\n")
    fresh.replace(CONTEXT)
    try:
        yield
    finally:
        CONTEXT.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def _watching(cluster: Cluster, premises: Premises, tell: Tell) -> AsyncIterator[None]:
    task = asyncio.create_task(_watch(cluster, premises, tell))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _watch(cluster: Cluster, premises: Premises, tell: Tell) -> None:
    """Tell what changes in the controller's status, and when the controller itself comes and goes."""
    seen: story.Status = {}
    reached = False
    while True:
        try:
            client = await Client.connect(cluster.address, PORT, premises.pki)
        except ReconcilerError:
            await asyncio.sleep(LOOK_EVERY_S)
            continue
        try:
            tell("the controller answers again" if reached else "the controller answers")
            reached = True
            while True:
                status = await client.ask("status", {})
                for line in story.told(seen, status):
                    tell(line)
                seen = status
                await asyncio.sleep(LOOK_EVERY_S)
        except ReconcilerError as trouble:
            tell(f"the controller does not answer: {trouble}")
        finally:
            await client.close()
