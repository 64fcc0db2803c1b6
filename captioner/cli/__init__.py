"""The command line: arguments in, calls to the library, results out. The only place that prints."""
