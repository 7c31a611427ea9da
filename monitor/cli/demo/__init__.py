"""The demo: a dozen firms, their fates, and the mails, in half a minute."""
