"""The training loop: what it prints, writes and reads, as its user meets it."""

import glob
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import fully_connected_feed
import generate_digits
import input_data
import mnist
from helpers import ROOT

# The lines of the facts about TensorFlow 1.3, to the letter.
STEP = r'Step %d: loss = \d+\.\d\d \(\d+\.\d{3} sec\)'
COUNTS = r'  Num examples: %d  Num correct: \d+  Precision @ 1: [01]\.\d{4}'


def expected_lines(steps, eval_steps, sizes):
    """The regular expressions of all lines that a run prints."""
    for step in range(steps):
        if step % 100 == 0:
            yield STEP % step
        if (step + 1) % eval_steps == 0 or step + 1 == steps:
            for name, size in zip(['Training', 'Validation', 'Test'], sizes):
                yield name + ' Data Eval:'
                yield COUNTS % size


def assert_printed(lines, *args):
    patterns = list(expected_lines(*args))
    assert len(lines) == len(patterns)
    for line, pattern in zip(lines, patterns):
        assert re.fullmatch(pattern, line)


def last_precision(lines):
    """The precision in the last line, which is that of the test set."""
    return float(lines[-1].split()[-1])


def events(log_dir):
    """All events in a log directory, in the order in which they were written."""
    for path in sorted(glob.glob(os.path.join(str(log_dir), 'events.out.tfevents.*'))):
        for event in tf.train.summary_iterator(path):
            yield event


def scalars(log_dir):
    """A dict from tag to the steps that have a value."""
    steps = {}
    for event in events(log_dir):
        for value in event.summary.value:
            steps.setdefault(value.tag, []).append(event.step)
    return steps


@pytest.fixture
def flags(monkeypatch, digits_dir, tmp_path):
    """Sets FLAGS as a command line would; returns a function that takes flags."""

    def set_flags(*argv):
        places = ['--input_data_dir', digits_dir, '--log_dir', str(tmp_path)]
        parsed = fully_connected_feed.parse_flags(places + list(argv))
        monkeypatch.setattr(fully_connected_feed, 'FLAGS', parsed)
        return parsed

    return set_flags


@pytest.fixture(scope='module')
def finished(tmp_path_factory, digits_dir):
    """A short run on generated digits: its log directory, status, stdout and stderr."""
    log_dir = tmp_path_factory.mktemp('logs')
    process = subprocess.run(
        [sys.executable, 'fully_connected_feed.py', '--seed=1', '--batch_size=30']
        + ['--max_steps=250', '--eval_steps=100']
        + ['--input_data_dir', digits_dir, '--log_dir', str(log_dir)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        universal_newlines=True,
    )
    assert process.returncode == 0
    return log_dir, process.stdout.splitlines()


def test_placeholders_have_the_batch_size_in_their_shape():
    with tf.Graph().as_default():
        images, labels = fully_connected_feed.placeholder_inputs(7)
    assert (images.dtype, images.shape.as_list()) == (tf.float32, [7, 784])
    assert (labels.dtype, labels.shape.as_list()) == (tf.int32, [7])


def test_feed_dict_holds_the_next_batch(flags, digits_dir):
    flags('--batch_size', '7')
    train, same = [input_data.read_data_sets(digits_dir, seed=1).train for _ in 'ab']
    for _ in range(2):
        feed_dict = fully_connected_feed.fill_feed_dict(train, 'images', 'labels')
        images, labels = same.next_batch(7)
        np.testing.assert_array_equal(feed_dict['images'], images)
        np.testing.assert_array_equal(feed_dict['labels'], labels)


def test_defaults_are_those_of_tensorflow_1(monkeypatch):
    monkeypatch.setattr('tempfile.tempdir', '/tmp/somewhere')
    flags = vars(fully_connected_feed.parse_flags([]))
    assert 0 <= flags.pop('seed') < 2**32
    assert flags == {
        'learning_rate': 0.01,
        'max_steps': 2000,
        'hidden1': 128,
        'hidden2': 32,
        'batch_size': 100,
        'eval_steps': 1000,
        'input_data_dir': '/tmp/somewhere/tensorflow/mnist/input_data',
        'log_dir': '/tmp/somewhere/tensorflow/mnist/logs/fully_connected_feed',
        'train_dir': None,
        'fake_data': False,
        'resume': False,
        'unevaluated': None,
    }


@pytest.mark.parametrize(
    'argv, input_data_dir, log_dir',
    [
        (['--train_dir=/t'], '/t', '/t'),
        (['--train_dir=/t', '--log_dir=/l'], '/t', '/l'),
        (['--input_data_dir=/i', '--train_dir=/t'], '/i', '/t'),
    ],
)
def test_train_dir_stands_for_the_directories_not_given(argv, input_data_dir, log_dir):
    flags = fully_connected_feed.parse_flags(argv)
    assert (flags.input_data_dir, flags.log_dir) == (input_data_dir, log_dir)


def test_directory_in_the_home(monkeypatch):
    monkeypatch.setenv('HOME', '/home/me')
    assert (
        fully_connected_feed.parse_flags(['--log_dir=~/logs']).log_dir
        == '/home/me/logs'
    )


def test_help_shows_each_flag_with_its_default(capsys):
    with pytest.raises(SystemExit) as end:
        fully_connected_feed.parse_flags(['--help'])
    assert end.value.code == 0
    text = ' '.join(capsys.readouterr().out.split())
    for flag in ['--learning_rate X', '--fake_data', '--train_dir DIR', '--resume']:
        assert flag in text
    for default in ['0.01', '2000', '128', '32', '100', '1000', 'fully_connected_feed']:
        assert re.search(r'\(default: \S*%s\)' % re.escape(default), text)


def test_a_run_prints_the_original_s_lines(finished):
    assert_printed(finished[1], 250, 100, [2000, 5000, 1000])


def test_events_hold_the_curves_and_the_graph(finished):
    log_dir, _ = finished
    steps = scalars(log_dir)
    assert steps.pop('loss') == [0, 100, 200]
    for name in ['train', 'validation', 'test']:
        assert steps.pop('precision/' + name) == [99, 199, 249]
    assert not steps
    graph = tf.GraphDef()
    graph.ParseFromString(next(e.graph_def for e in events(log_dir) if e.graph_def))
    scopes = {node.name.split('/')[0] for node in graph.node}
    assert {'hidden1', 'hidden2', 'softmax_linear'} <= scopes


def test_precision_in_tensorboard_is_the_printed_one(finished):
    log_dir, lines = finished
    printed = [float(line.split()[-1]) for line in lines if 'Precision' in line]
    written = [
        value.simple_value
        for event in events(log_dir)
        for value in event.summary.value
        if value.tag.startswith('precision/')
    ]
    assert written == pytest.approx(printed, abs=5e-5)


def test_checkpoints_are_named_for_the_step_and_hold_the_steps_trained(finished):
    log_dir, _ = finished
    names = sorted(path.name for path in log_dir.glob('model.ckpt-*.index'))
    assert names == ['model.ckpt-%d.index' % step for step in (199, 249, 99)]
    reader = tf.train.NewCheckpointReader(str(log_dir / 'model.ckpt-249'))
    assert reader.get_tensor('global_step') == 250
    assert tf.train.latest_checkpoint(str(log_dir)) == str(log_dir / 'model.ckpt-249')


def test_restored_checkpoint_evaluates_to_what_was_printed(finished, flags, capsys):
    log_dir, lines = finished
    data_sets = input_data.read_data_sets(flags().input_data_dir)
    with tf.Graph().as_default(), tf.Session() as sess:
        placeholders = fully_connected_feed.placeholder_inputs(30)
        eval_correct = mnist.evaluation(
            mnist.inference(placeholders[0], 128, 32), placeholders[1]
        )
        tf.train.Saver().restore(sess, str(log_dir / 'model.ckpt-249'))
        fully_connected_feed.evaluate(sess, eval_correct, *placeholders, data_sets)
    assert capsys.readouterr().out.splitlines() == lines[-6:]


def test_fake_data_trains_without_files(run, tmp_path):
    status, lines, errors = run(
        *['--fake_data', '--max_steps', 110, '--log_dir', tmp_path / 'logs']
        + ['--input_data_dir', tmp_path / 'none']
    )
    assert (status, errors) == (0, [])
    assert_printed(lines, 110, 1000, [10000] * 3)
    assert last_precision(lines) == 1
    assert not (tmp_path / 'none').exists()


def test_default_run_learns_generated_digits(run, tmp_path):
    generate_digits.generate(str(tmp_path / 'digits'))
    status, lines, errors = run('--train_dir', tmp_path / 'digits')
    assert (status, errors) == (0, [])
    assert_printed(lines, 2000, 1000, [55000, 5000, 10000])
    assert last_precision(lines) > 0.9


def test_default_run_on_mnist_is_as_precise_as_the_original(run, tmp_path, mnist_dir):
    status, lines, errors = run('--input_data_dir', mnist_dir, '--log_dir', tmp_path)
    assert (status, errors) == (0, [])
    assert_printed(lines, 2000, 1000, [55000, 5000, 10000])
    assert 0.89 <= last_precision(lines) <= 0.92


def test_tensorflow_chatters_where_the_user_has_asked_for_it(tmp_path):
    process = subprocess.run(
        [sys.executable, 'fully_connected_feed.py', '--fake_data', '--max_steps=1']
        + ['--log_dir', str(tmp_path)],
        env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL='0'),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    assert ' optimiz' in process.stderr or 'XLA' in process.stderr
