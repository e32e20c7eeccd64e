"""Trainers, one file a method, registered by being here."""

from ueo.settings.discover import import_modules

if __name__ != "ueo.trainers":
    raise ImportError("this folder is the package ueo.trainers; import it by that name")
import_modules(__name__, __path__)
