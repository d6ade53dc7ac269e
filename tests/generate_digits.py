"""Draws digits and writes them as the four files of MNIST: data without a network.

    python tests/generate_digits.py DIR

It isn't MNIST: each digit is a glyph of a 5 x 7 font, stretched, shifted and noisy. The
tutorial's model learns them much as it learns MNIST. A seed gives the same digits
everywhere.
"""

import argparse
import gzip
import os
import struct
import sys

import numpy as np

GLYPHS = """\
 ### |  #  | ### |#####|   # |#####|  ## |#####| ### | ###
#   #| ##  |#   #|   # |  ## |#    | #   |    #|#   #|#   #
#  ##|  #  |    #|  #  | # # |#### |#    |   # |#   #|#   #
# # #|  #  |   # |   # |#  # |    #|#### |  #  | ### | ####
##  #|  #  |  #  |    #|#####|    #|#   #| #   |#   #|    #
#   #|  #  | #   |#   #|   # |#   #|#   #| #   |#   #|   #
 ### | ### |#####| ### |   # | ### | ### | #   | ### | ##"""
SIZE = 28  # pixels a side
BLOCK = 5000  # digits drawn at a time
FILES = {'train': 'train-%s-idx%d-ubyte.gz', 'test': 't10k-%s-idx%d-ubyte.gz'}


def bordered_glyphs():
    """Returns the font, uint8 [10, 9, 7]: 1 is ink, the outermost cells are empty."""
    lines = [line.split('|') for line in GLYPHS.split('\n')]
    font = np.zeros((10, 9, 7), np.uint8)
    for digit in range(10):
        for row, line in enumerate(lines):
            for column, character in enumerate(line[digit]):
                font[digit, row + 1, column + 1] = character == '#'
    return font


def draw(labels, rng):
    """Draws one image for each label of an array: uint8 [n, 28, 28]."""

    def cells(count, shortest, longest):
        """The cell of the glyph that each pixel along one side shows, [n, 28]."""
        length = rng.randint(shortest, longest + 1, (len(labels), 1))
        start = (SIZE - length) // 2 + rng.randint(-2, 3, (len(labels), 1))
        return np.clip((np.arange(SIZE) - start) * count // length, -1, count) + 1

    rows, columns = cells(7, 17, 21), cells(5, 11, 17)
    ink = bordered_glyphs()[
        labels[:, np.newaxis, np.newaxis],
        rows[:, :, np.newaxis],
        columns[:, np.newaxis, :],
    ]
    strength = rng.randint(150, 256, (len(labels), 1, 1))
    inked = rng.randint(0, 10, ink.shape) > 0  # one pixel in ten has a hole
    specks = rng.randint(0, 256, ink.shape) * (rng.randint(0, 20, ink.shape) == 0)
    return np.maximum(ink * strength * inked, specks).astype(np.uint8)


def write_idx(path, shape, blocks):
    """Writes arrays of uint8 as one gzip'ed IDX file, whole or not at all."""
    temporary = open(path + '.tmp', 'wb')
    try:
        # No time stamp and no name in it: the same digits are the same bytes.
        with temporary, gzip.GzipFile('', 'wb', 1, temporary, mtime=0) as packed:
            header = (2048 + len(shape),) + shape
            packed.write(struct.pack('>%dI' % len(header), *header))
            for block in blocks:
                packed.write(block.tobytes())
        os.rename(temporary.name, path)
    except BaseException:
        os.remove(temporary.name)
        raise


def generate(directory, train=60000, test=10000, seed=0):
    """Writes the four files; an OSError says that one is there already."""
    os.makedirs(directory, exist_ok=True)
    paths = {
        (name, kind): os.path.join(directory, FILES[name] % kind)
        for name in FILES
        for kind in (('images', 3), ('labels', 1))
    }
    for path in paths.values():
        if os.path.exists(path):
            raise OSError('%s is there already; choose another directory' % path)

    rng = np.random.RandomState(seed)
    for name, count in (('train', train), ('test', test)):
        labels = rng.randint(0, 10, count).astype(np.uint8)
        blocks = (
            draw(labels[start : start + BLOCK], rng) for start in range(0, count, BLOCK)
        )
        write_idx(paths[name, ('images', 3)], (count, SIZE, SIZE), blocks)
        write_idx(paths[name, ('labels', 1)], (count,), [labels])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('directory', metavar='DIR', help='where the files go')
    for name, default, text in (
        ('train', 60000, 'examples for training and validation'),
        ('test', 10000, 'examples for testing'),
        ('seed', 0, 'of the random numbers'),
    ):
        text += ' (default: %(default)s)'
        parser.add_argument('--' + name, type=int, default=default, help=text)
    flags = parser.parse_args()
    try:
        generate(flags.directory, flags.train, flags.test, flags.seed)
    except (OSError, ValueError) as error:
        sys.exit('generate_digits.py: %s' % error)


if __name__ == '__main__':
    main()
