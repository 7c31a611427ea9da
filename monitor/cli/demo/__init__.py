"""The demo: a dozen firms, their fates, and the mails, in half a minute."""

from monitor.operations.actor import Actor, Door, Right

DEMO = Actor("demo", Door.CLI, frozenset(Right))
