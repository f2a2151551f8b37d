"""Products of numpy, with the thread that has made them."""

import threading

import numpy


def dot(a, b):
    """Of anything that is or becomes a vector."""
    return threading.get_native_id(), numpy.dot(a, b)


def of_matrices(size, value):
    """The sum of all elements of a product of two square matrices: size ** 3 * value, if the product is right."""
    return threading.get_native_id(), (numpy.full((size, size), float(value)) @ numpy.ones((size, size))).sum()
