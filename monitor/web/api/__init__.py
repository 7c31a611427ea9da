"""The door for programs: the operations of the house over HTTP (RFC 9110, RFC 9457)."""
