"""The tutorial's functions, and what a run prints and writes."""

import argparse
import os
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import fully_connected_feed
import input_data
import mnist
from helpers import call, curves
from idx_files import MNIST_DIR

# The lines of TensorFlow 1.3, to the letter.
STEP = r'Step %d: loss = \d+\.\d\d \(\d+\.\d{3} sec\)'
COUNTS = r'  Num examples: %d  Num correct: \d+  Precision @ 1: [01]\.\d{4}'


def assert_printed(lines, steps, eval_steps, sizes):
    """The lines are all that a run prints: each pattern fits its line."""
    patterns = []
    for step in range(steps):
        if step % 100 == 0:
            patterns.append(STEP % step)
        if (step + 1) % eval_steps == 0 or step + 1 == steps:
            for name, size in zip(['Training', 'Validation', 'Test'], sizes):
                patterns += [name + ' Data Eval:', COUNTS % size]
    assert len(lines) == len(patterns)
    for line, pattern in zip(lines, patterns):
        assert re.fullmatch(pattern, line)


def precisions(lines):
    return [float(line.split()[-1]) for line in lines if 'Precision' in line]


def test_runs_are_fed_the_batches_of_the_loader(
    flags, digits_dir, tmp_path, monkeypatch
):
    """From the first on; a resumed run goes on with the next."""
    fed, fill_feed_dict = [], fully_connected_feed.fill_feed_dict

    def spy(*args):
        fed.append(fill_feed_dict(*args))
        return fed[-1]

    monkeypatch.setattr(fully_connected_feed, 'fill_feed_dict', spy)
    for steps in 3, 5:
        assert call('--resume', *flags(tmp_path, '--max_steps=%d' % steps))[0] == 0
    train = input_data.read_data_sets(digits_dir, seed=5).train
    assert len(fed) == 5
    for feed_dict in fed:
        assert [len(placeholder.shape) for placeholder in feed_dict] == [2, 1]
        for found, expected in zip(feed_dict.values(), train.next_batch(70)):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('batch_size', [1, 7, 1000])
def test_each_example_is_evaluated_once(
    finished, digits_dir, capsys, monkeypatch, batch_size
):
    """NumPy predicts the same; 1,000 examples are tested, 2,000 trained on."""
    flags = argparse.Namespace(batch_size=batch_size)
    monkeypatch.setattr(fully_connected_feed, 'FLAGS', flags)
    sets, twin = (input_data.read_data_sets(digits_dir, seed=3) for _ in range(2))
    for data_sets in sets, twin:
        data_sets.train.next_batch(77)
    checkpoint = os.path.join(finished.log_dir, 'model.ckpt-949')
    weights = tf.train.NewCheckpointReader(checkpoint).get_tensor
    with tf.Graph().as_default(), tf.Session() as sess:
        images, labels = fully_connected_feed.placeholder_inputs(batch_size)
        correct = mnist.evaluation(mnist.inference(images, 128, 32), labels)
        tf.train.Saver().restore(sess, checkpoint)
        for data_set, same in (sets.test, twin.test), (sets.train, twin.train):
            values = same.images
            for name in 'hidden1', 'hidden2', 'softmax_linear':
                values = values.dot(weights(name + '/weights'))
                values += weights(name + '/biases')
                values = values if name == 'softmax_linear' else np.maximum(values, 0)
            hits = values.argmax(1) == same.labels
            precision = fully_connected_feed.do_eval(
                sess, correct, images, labels, data_set
            )
            assert precision == hits.sum() / len(hits)
            assert capsys.readouterr().out == (
                '  Num examples: %d  Num correct: %d  Precision @ 1: %0.04f\n'
                % (len(hits), hits.sum(), precision)
            )
    for _ in range(60):  # the training set goes on where it was
        for found, expected in zip(
            sets.train.next_batch(77), twin.train.next_batch(77)
        ):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('reshape', [True, False])
def test_what_fills_up_the_last_batch_is_not_counted(monkeypatch, reshape):
    flags = argparse.Namespace(batch_size=8)
    monkeypatch.setattr(fully_connected_feed, 'FLAGS', flags)
    images, labels = np.zeros((13, 28, 28, 1), np.uint8), np.arange(13) % 10
    data_set = input_data.DataSet(images, labels, reshape=reshape)
    for predicted in range(10):
        with tf.Graph().as_default(), tf.Session() as sess:
            images = tf.placeholder(tf.float32, (8, 784) if reshape else (8, 28, 28, 1))
            labels_placeholder = tf.placeholder(tf.int32, 8)
            correct = tf.one_hot([predicted] * 8, 10) + 0 * tf.reduce_sum(images)
            precision = fully_connected_feed.do_eval(
                sess,
                mnist.evaluation(correct, labels_placeholder),
                images,
                labels_placeholder,
                data_set,
            )
        assert precision == (labels == predicted).sum() / 13


def test_placeholders_of_any_batch_size_make_the_same_run(
    flags, finished, tmp_path, monkeypatch
):
    """As the tutorial proposes, and as whoever classifies one image needs them."""
    placeholder_inputs = fully_connected_feed.placeholder_inputs
    monkeypatch.setattr(
        fully_connected_feed, 'placeholder_inputs', lambda _: placeholder_inputs(None)
    )
    assert call(*flags(tmp_path))[::2] == (0, [])
    assert curves(tmp_path) == curves(finished.log_dir)


@pytest.mark.parametrize('numbers', [4, 3072])
def test_data_of_ones_own(flags, tmp_path, monkeypatch, numbers):
    """The tutorial as a skeleton: other arrays, and two sizes in mnist.py."""
    rng = np.random.RandomState(0)
    examples, labels = rng.rand(230, numbers), rng.randint(0, 3, 230)

    def read_data_sets(*args, seed, **options):
        return input_data.Datasets(
            *[
                input_data.DataSet(examples[x], labels[x], reshape=False, seed=seed)
                for x in (slice(200), slice(200, 215), slice(215, 230))
            ]
        )

    monkeypatch.setattr(input_data, 'read_data_sets', read_data_sets)
    run = flags(tmp_path / 'log', '--max_steps=110')
    status, _, (line,) = call(*run)
    assert (status, str(numbers) in line, 'mnist.py' in line) == (1, True, True)
    monkeypatch.setattr(mnist, 'IMAGE_PIXELS', numbers)
    monkeypatch.setattr(mnist, 'NUM_CLASSES', 3)
    status, stdout, stderr = call(*run)
    assert (status, stderr) == (0, [])
    assert_printed(stdout, 110, 100, [200, 15, 15])
    assert call(*run, '--resume', '--max_steps=130')[0] == 0


@pytest.mark.parametrize(
    'argv, data_dir, log_dir',
    [
        ('--train_dir=~/t', 't', 't'),
        ('--train_dir=~/t --log_dir=~/l', 't', 'l'),
        ('--input_data_dir=~/i --train_dir=~/t', 'i', 't'),
    ],
)
def test_train_dir_is_for_directories_not_given(
    tmp_path, monkeypatch, argv, data_dir, log_dir
):
    monkeypatch.setenv('HOME', str(tmp_path))
    taken = []
    monkeypatch.setattr(
        input_data, 'read_data_sets', lambda data, *_, **__: taken.append(data)
    )
    with pytest.raises(AttributeError):  # there are no data sets
        fully_connected_feed.main(argv.split())
    assert taken == [str(tmp_path / data_dir)]
    assert (tmp_path / log_dir / 'fully_connected_feed.lock').exists()


def test_events_hold_the_printed_curves_and_the_graph(finished):
    assert_printed(finished.lines, 950, 100, [2000, 5000, 1000])
    found = curves(finished.log_dir)
    steps, _ = zip(*found.pop('loss'))
    assert steps == tuple(range(0, 950, 100))
    for number, name in enumerate(['train', 'validation', 'test']):
        steps, values = zip(*found.pop('precision/' + name))
        assert steps == (100, 200, 300, 400, 500, 600, 700, 800, 900, 950)
        expected = precisions(finished.lines)[number::3]
        assert values == pytest.approx(expected, abs=5.1e-5)
    assert not found
    newest = tf.train.latest_checkpoint(finished.log_dir)
    assert newest == os.path.join(finished.log_dir, 'model.ckpt-949')


def test_fake_data_trains_without_files(tmp_path):
    places = ['--log_dir', str(tmp_path / 'log'), '--train_dir', str(tmp_path / 'none')]
    status, lines, errors = call('--fake_data', '--max_steps=110', *places)
    assert (status, errors) == (0, [])
    assert_printed(lines, 110, 1000, [10000] * 3)
    assert precisions(lines)[-1] == 1
    assert not (tmp_path / 'none').exists()


def test_default_run_learns_from_little_data(run, tmp_path, digits_dir):
    status, lines, errors = run('--input_data_dir', digits_dir, '--log_dir', tmp_path)
    assert (status, errors) == (0, [])
    assert_printed(lines, 2000, 1000, [2000, 5000, 1000])
    assert precisions(lines)[-1] > 0.84


def test_default_run_on_mnist_is_as_precise_as_the_original(tmp_path):
    """As docs/faithful.md has it, for the seeds 1 to 5."""
    found = []
    for seed in range(1, 6):
        places = ['--input_data_dir', MNIST_DIR, '--log_dir', str(tmp_path)]
        status, lines, _ = call(*places, '--seed=%d' % seed)
        assert status == 0
        assert_printed(lines, 2000, 1000, [55000, 5000, 10000])
        found.append(precisions(lines)[-1])
    assert 0.898 <= round(min(found), 3) and round(max(found), 3) <= 0.906


def test_tensorflow_chatters_where_the_user_has_asked_for_it(start, tmp_path):
    flags = '--fake_data', '--max_steps=1', '--log_dir', tmp_path
    process = start(*flags, env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL='0'))
    stderr = process.communicate()[1]
    assert ' optimiz' in stderr or 'XLA' in stderr
