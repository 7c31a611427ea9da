"""The command line. The service is imported inside the commands, so that --help answers at once."""
