"""Mistakes that a user can mend: one sentence each, turned into an exit status by train.py alone."""


class UserError(Exception):
    """Base of the errors whose message is meant for the user, without a traceback."""


class ConfigError(UserError):
    """An option, a configuration key or a name is wrong."""


class DataError(UserError):
    """A data set, an image or a path is missing or damaged."""


class CheckpointError(UserError):
    """Weights or a checkpoint are missing, damaged or belong to another model."""
