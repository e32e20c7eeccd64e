"""Fetching published data: downloads, broken transfers resumed, archives unpacked safely."""
