"""Fetch files from Google Drive, with gdown or, if they have a resource key, directly."""

import inspect
import os
import shutil
import sys
from pathlib import Path

import requests

from ueo.fetch.transfer import ATTEMPTS, TIMEOUT, SourceFailed, brief, fetch

DRIVE_FILES = "https://drive.usercontent.google.com/download"


def folder_of(number: str, partial: Path) -> Path:
    """Return the folder for the transfer of a file. Each id has its own, because gdown resumes any
    partial file of the same name."""
    return partial / f"gdrive-{number}"


def fetch_file(source: str, file: Path) -> None:
    """Fetch one file. source: "<id>" or "<id>:<resource key>". Raises SourceFailed."""
    number, _, key = source.partition(":")
    reason = ""
    if key:  # gdown 6 drops the key from the URL
        address = f"{DRIVE_FILES}?id={number}&export=download&confirm=t&resourcekey={key}"
        try:
            return fetch(address, file)
        except SourceFailed as error:
            reason = f"{error}; through gdown: "
    output = folder_of(number, file.parent) / file.name
    output.parent.mkdir(exist_ok=True)
    address = f"https://drive.google.com/uc?id={number}" + (key and f"&resourcekey={key}")
    try:
        _with_gdown(address, output)
    except SourceFailed as error:
        raise SourceFailed(f"{reason}{error}") from error
    os.replace(output, file)
    shutil.rmtree(output.parent, ignore_errors=True)


def _with_gdown(address: str, output: Path) -> None:
    import gdown

    known = inspect.signature(gdown.download).parameters  # gdown 5 has neither
    options = {"timeout": TIMEOUT, "retries": ATTEMPTS - 1}
    options = {name: value for name, value in options.items() if name in known}
    quiet = not sys.stderr.isatty()
    try:
        done = gdown.download(address, str(output), quiet=quiet, resume=True, **options)
    except Exception as error:  # gdown's error classes differ between versions
        if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
            raise  # an error of the disk
        raise SourceFailed(brief(error)) from error
    if done is None:
        raise SourceFailed("Google Drive sent no file")
