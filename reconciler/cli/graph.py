"""`reconcile graph`: draw the constraints of an intent. Needs no controller and no facts."""

from pathlib import Path
from typing import Literal

from reconciler.cli import context
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.terminal import say, say_text


def run_graph(cluster: Path | None, *, form: Literal["text", "json", "dot", "svg"]) -> ExitCode:
    """Draw the graph in one of its forms."""
    from reconciler.cli.cluster import load
    from reconciler.render import graph

    drawn = graph.build(load(context.cluster(cluster)))
    match form:
        case "text":
            from reconciler.render import graph_text

            say(graph_text.render(drawn))
        case "json":
            from reconciler.render import graph_text

            say_text(graph_text.render_json(drawn))
        case "dot":
            from reconciler.render import dot

            say_text(dot.graph(drawn))
        case "svg":
            from reconciler.render import graph_svg

            say_text(graph_svg.render(drawn))
    return ExitCode.DONE
