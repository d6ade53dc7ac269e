"""Draws the tutorial's digits: examples.png, mistakes.png and seven.png in docs/.

    pip install '.[plot]' && PYTHONPATH=. python docs/draw_digits.py DIR LOG_DIR

The examples are the first of the training set with their labels, the mistakes are the
first of the test set that the trained model gets wrong. The seven is black on white, as
a reader's own picture is.
"""

import argparse
import os

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot

import input_data
import mnist
from mnist import tf

FOLDER = os.path.dirname(os.path.abspath(__file__))
COUNT = 12


def predictions(images, log_dir):
    """Returns the digits for which a run's newest checkpoint takes images."""
    with tf.Graph().as_default(), tf.Session() as sess:
        images_placeholder = tf.placeholder(tf.float32, (None, mnist.IMAGE_PIXELS))
        logits = mnist.inference(images_placeholder, 128, 32)
        tf.train.Saver().restore(sess, tf.train.latest_checkpoint(log_dir))
        return sess.run(tf.argmax(logits, 1), feed_dict={images_placeholder: images})


def draw(name, images, titles):
    """Draws images in a row, each under its title, into a PNG file in docs/."""
    figure, axes = pyplot.subplots(1, COUNT, figsize=(COUNT, 1.4), dpi=75)
    for axis, image, title in zip(axes, images, titles):
        axis.imshow(image.reshape(mnist.IMAGE_SIZE, mnist.IMAGE_SIZE), cmap='gray_r')
        axis.set_title(title)
    for axis in axes:
        axis.axis('off')
    figure.tight_layout(pad=0.3)
    figure.savefig(os.path.join(FOLDER, name))


def draw_seven():
    """Draws a seven with a thick, round pen into a square of 140 pixels."""
    figure = pyplot.figure(figsize=(2.8, 2.8), dpi=50)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.axis('off')
    pen = dict(color='black', solid_capstyle='round', solid_joinstyle='round')
    axes.plot([0.28, 0.74, 0.60, 0.42], [0.70, 0.78, 0.55, 0.18], linewidth=16, **pen)
    figure.savefig(os.path.join(FOLDER, 'seven.png'))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'dir', metavar='DIR', help='folder of MNIST, for example MNIST_data'
    )
    parser.add_argument('log_dir', metavar='LOG_DIR', help='log directory of a run')
    args = parser.parse_args()
    data_sets = input_data.read_data_sets(args.dir)
    draw('examples.png', *data_sets.train.next_batch(COUNT, shuffle=False))

    images, labels = data_sets.test.images, data_sets.test.labels
    predicted = predictions(images, args.log_dir)
    wrong = (predicted != labels).nonzero()[0][:COUNT]
    titles = [f'{labels[i]}, not {predicted[i]}' for i in wrong]
    draw('mistakes.png', images[wrong], titles)
    draw_seven()


if __name__ == '__main__':
    main()
