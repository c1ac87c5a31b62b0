"""Corrections at size and under faults, against a real SeaweedFS."""
