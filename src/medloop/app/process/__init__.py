"""Owned by the process: stores and champion, prediction log, housekeeping."""
