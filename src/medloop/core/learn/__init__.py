"""The learning core: network, augmentation, training, calibration, export. The only package that imports torch."""
