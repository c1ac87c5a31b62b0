"""Shared by pages: access, wording, charts, pictures."""
