"""Settings of a run: options and their declarations, yaml files, plug-ins."""
