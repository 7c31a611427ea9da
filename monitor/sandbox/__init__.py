"""A Clio to practise on: speaks Clio's wire over HTTP, in a process of its own.

It imports nothing of Token Health, and nothing of Token Health imports it, so that a shared mistake
cannot hide. What Clio's documentation leaves open is answered as plainly as the standards allow.
"""
