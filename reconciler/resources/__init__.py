"""The hands on a node: what starts, stops and looks at services, one module for each kind.

`registry.hands()` gives them all. Each keeps the contract of `ports.ResourceAgent`; none decides anything.
"""
