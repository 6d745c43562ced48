"""The commands that are no part of the Lightning command line; one file a command."""
