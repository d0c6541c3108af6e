"""GitOps for Linux high availability: commit what should run where; `reconcile` keeps it so."""

__version__ = "0.1.0"
