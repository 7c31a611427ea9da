"""MAILS: what is said to a client and when, how it is written, and that it arrives."""
