"""Writes data in MNIST's format: any arrays, or a small part of MNIST.

It runs on Python 3.6, too, for TensorFlow 1.3.
"""

import gzip
import os
import struct

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MNIST_DIR = os.path.join(ROOT, 'MNIST_data')
FILES = {'train': 'train-%s-idx%d-ubyte.gz', 'test': 't10k-%s-idx%d-ubyte.gz'}


def write_idx(path, array):
    """Writes an array of uint8 as a gzip'ed IDX file; equal arrays make equal files."""
    header = (2048 + array.ndim,) + array.shape
    with open(path, 'wb') as f, gzip.GzipFile('', 'wb', 1, f, mtime=0) as packed:
        packed.write(struct.pack('>%dI' % len(header), *header) + array.tobytes())


def write_small_mnist(folder, train=7000, test=1000):
    """Writes the first examples of MNIST as four files into a folder, new or not."""
    os.makedirs(folder, exist_ok=True)
    for name, count in ('train', train), ('test', test):
        for kind, shape in ('images', (-1, 28, 28)), ('labels', (-1,)):
            file = FILES[name] % (kind, len(shape))
            with gzip.open(os.path.join(MNIST_DIR, file)) as f:
                data = np.frombuffer(f.read(), np.uint8, offset=4 + 4 * len(shape))
            write_idx(os.path.join(folder, file), data.reshape(shape)[:count])
