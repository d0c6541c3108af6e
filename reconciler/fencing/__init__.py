"""Fence devices: what makes a node provably unable to act.

`agent` speaks to one of the programs that distributions call fence agents; `device` turns an operator's
device into requests for it; `fences` fences a node by levels of devices (`ports.Fences`), and `watch` is the
hand that asks a device regularly whether it would work. Programs are run by whoever hands in a `Run`.
"""
