"""Data sets, one file each, registered by being here."""

from ueo.settings.discover import import_modules

import_modules(__name__, __path__)
