"""The errors that a caller may want to tell apart.

A message says what failed, with which value, and what to do; it is shown to users as it stands, so
it never holds a secret, a file name of an upload, or patient data.
"""


class MedloopError(Exception):
    """Base of every error that medloop raises on purpose."""


class DecodeError(MedloopError):
    """The bytes are not an image that medloop can read; the message says why."""


class UnknownClassError(MedloopError):
    """No class has that name; the message lists those there are."""


class DatasetError(MedloopError):
    """A data set cannot be read, or is of no use for training; the message says why."""


class SettingsError(MedloopError):
    """A setting is missing or wrong; the message names it."""


class StoreError(MedloopError):
    """A store answered, and the answer is no (rights, missing bucket, corrupt object)."""


class StoreUnavailableError(StoreError):
    """A store did not answer or asked to come back later: trying again may help."""


class NotFoundError(StoreError):
    """The store has no such object, alias or version."""


class AlreadyExistsError(StoreError):
    """A conditional write found the object there already."""


class StaleError(StoreError):
    """A compare-and-swap found another value than expected: another process was quicker."""


class ReviewError(MedloopError):
    """A decision cannot be taken, or taken back; the message says what can be done."""


class ModelError(MedloopError):
    """A model file breaks the contract: it must not serve."""


class ServiceError(MedloopError):
    """A local service cannot be started or does not answer."""
