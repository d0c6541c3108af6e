"""Heartbeats on the way: a small process on every node that speaks them, and a listener that hears them.

The speaker is a process of its own, started early by the agent: no slow action, no full queue and no garbage
collection of the agent delays it. It knows what the agent last told it over a socket pair, and asks for
real-time priority and locked memory, going on without where that is not allowed. When the agent dies it says
`agent_down` for up to `AGENT_DOWN_MS`, so that a dead agent can be told from a dead node, and then ends; a
new agent begins a new session, with which the old speaker's datagrams stop being heard.

On a node (the agent; `start` before anything heavy is imported):

    speaker = Speaker.start(boot)
    speaker.speak(session=welcome.session, key=welcome.key, links=[Link(target="10.0.0.9", port=7410)],
                  every_ms=welcome.heartbeat.every_ms)
    speaker.tell(tick=n, report=sequence, state=digest)      # at least once per interval
    speaker.stop()                                           # leaving for good; otherwise let it see us die

In the controller:

    listener = HeartbeatListener(("0.0.0.0", 7410), heard)   # heard(node, beat, now_ms), on the running loop
    session = listener.admit(node)                           # after Hello: what goes into Welcome
    listener.dismiss(node)                                   # when the node leaves the intent, not its stream
    listener.close()

Law: a datagram that is not sealed with the key of a live session calls nobody and changes nothing but a count.
"""
