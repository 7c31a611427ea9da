"""Token Health's watch: finds out that an OAuth connection broke, why, and who can mend it."""

from importlib.metadata import version

__version__ = version("token-health")
