"""The console in a browser: a service in the middle of everything, and Chromium before it."""
