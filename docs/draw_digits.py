"""Draws the tutorial's digits: docs/examples.png and docs/mistakes.png.

    pip install '.[plot]' && PYTHONPATH=. python docs/draw_digits.py DIR LOG_DIR

The examples are the first of the training set with their labels, the mistakes are the
first of the test set that the trained model gets wrong.
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
    """Returns the digits for which a run's newest checkpoint takes the images.

    Args:
        images: float32 array [n, mnist.IMAGE_PIXELS].
        log_dir: str, the run's log directory.

    Returns:
        int64 array [n].

    Raises:
        OSError: if there is no checkpoint.
    """
    path = tf.train.latest_checkpoint(log_dir)
    if path is None:
        raise OSError(f'{log_dir} holds no checkpoint')
    shapes = tf.train.load_checkpoint(path).get_variable_to_shape_map()
    units = [shapes[layer + '/biases'][0] for layer in ('hidden1', 'hidden2')]
    with tf.Graph().as_default(), tf.Session() as sess:
        images_placeholder = tf.placeholder(tf.float32, (None, mnist.IMAGE_PIXELS))
        logits = mnist.inference(images_placeholder, *units)
        tf.train.Saver().restore(sess, path)
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'dir', metavar='DIR', help='folder of MNIST; downloaded if absent'
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


if __name__ == '__main__':
    main()
