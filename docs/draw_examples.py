"""Draws the first examples of the training set with their labels: docs/examples.png.

    pip install '.[plot]' && python docs/draw_examples.py DIR

DIR is the folder with the four files, which are downloaded when they are absent.
"""

import os
import sys

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot

import input_data

COUNT = 12


def main():
    data_sets = input_data.read_data_sets(sys.argv[1], reshape=False)
    images, labels = data_sets.train.next_batch(COUNT, shuffle=False)
    figure, axes = pyplot.subplots(1, COUNT, figsize=(COUNT, 1.4), dpi=75)
    for axis, image, label in zip(axes, images, labels):
        axis.imshow(image[:, :, 0], cmap='gray_r')
        axis.set_title(label)
        axis.axis('off')
    figure.tight_layout(pad=0.3)
    figure.savefig(os.path.join(os.path.dirname(__file__), 'examples.png'))


if __name__ == '__main__':
    main()
