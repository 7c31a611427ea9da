"""The console: what people who run the service look at, a door on the operations like the API."""
