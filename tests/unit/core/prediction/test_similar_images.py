"""The labelled pictures most like one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from tests.app.models import brightness_model

from medloop.core.prediction.predictor import Predictor
from medloop.core.prediction.similar_images import build_reference, neighbours
from medloop.stores.datasets import bundled_sample


def test_a_picture_is_no_neighbour_of_itself():
    """In the review queue it would show a honeypot's class, since these come from the labelled
    pictures.
    """
    predictor = Predictor(brightness_model(), threads=1)
    reference = build_reference(predictor, bundled_sample(), per_class=5)
    for image in reference.images[::7]:
        (prediction,) = predictor.predict([image])
        found = neighbours(reference, image, prediction.embedding)
        assert len(found) == 5
        assert not any(np.array_equal(neighbour.pixels, image) for neighbour in found)
        assert all(one.similarity >= other.similarity for one, other in pairwise(found))
