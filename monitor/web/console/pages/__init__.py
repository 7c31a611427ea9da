"""The console's pages and actions, a file a subject; found by being here."""
