"""Containers of objects and the log of a remote: bytes in, values out. Pure: no file is opened here."""
