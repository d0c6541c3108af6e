"""`reconcile dev`: a whole cluster on this machine, nodes that can lose their power included.

Law: what an experiment started ends with it. Every process of a node hangs on its node's init, every
init on a pipe to `dev`, every network interface on a namespace that one of them holds; so even a
`kill -9` of `dev` leaves nothing that runs and nothing that answers.
"""
