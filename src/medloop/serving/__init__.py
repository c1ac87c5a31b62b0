"""The serving path: which model answers, and inputs through it. Never imports torch."""

from medloop.serving.answers import Answer, classify
from medloop.serving.champion import Champion, Classified, NoModelError, Served
from medloop.serving.classifier import Classifier

__all__ = ["Answer", "Champion", "Classified", "Classifier", "NoModelError", "Served", "classify"]
