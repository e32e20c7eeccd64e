"""Data sets, one file each, registered by being here."""

from ueo.settings.discover import import_modules

if __name__ != "ueo.datasets":
    raise ImportError("this folder is the package ueo.datasets; import it by that name")
import_modules(__name__, __path__)
