"""Data sets, one file each, registered by being here."""

import modern_dassl  # noqa: F401  (makes `dassl` importable)
from ueo.settings.discover import import_modules

import_modules(__name__, __path__)
