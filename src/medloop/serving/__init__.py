"""The serving path: which model answers (`champion`), and many inputs through it (`answers`). Never imports torch."""

from medloop.serving.answers import Answer, classify
from medloop.serving.champion import Champion, NoModelError, Served
from medloop.serving.classifier import Classifier

__all__ = ["Answer", "Champion", "Classifier", "NoModelError", "Served", "classify"]
