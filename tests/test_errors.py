"""Each mistake and each mishap ends in one line on stderr, without a traceback."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import fully_connected_feed
import input_data
from helpers import (
    PROGRAM,
    ROOT,
    SAYS,
    assert_one_line,
    call,
    curves,
    files_in,
    own_lines,
    resume,
    steps_saved,
    variables,
    without_rights,
)
from idx_files import write_idx


@pytest.mark.parametrize(
    'status, flag, words',
    [
        (1, '--max_steps=0', '--max_steps 0 is not from 1 to 2147483647'),
        (1, '--hidden1=0', '--hidden1 0 is not from 1 to 10000'),
        (1, '--hidden2=10001', 'is not from 1 to 10000'),
        (1, '--batch_size=2147483648', 'is not from 1 to 2147483647'),
        (1, '--eval_steps=0', 'is not from 1'),
        (1, '--learning_rate=0', 'is not from 1e-37 to 3.4e+38'),
        (1, '--learning_rate=nan', 'is not from'),
        (1, '--learning_rate=inf', 'is not from'),
        (1, '--seed=-1', 'is not from 0 to 4294967295'),
        (1, '--seed=4294967296', 'is not from'),
        (1, '--log_dir=/dev/null', '--log_dir /dev/null: File exists; give a'),
        (1, '--log_dir=dangling', 'File exists'),
        (2, '--hidden2=1.5', "invalid int value: '1.5'"),
        (2, '--learning_rate=fast', "invalid float value: 'fast'"),
        (2, '--input_data_dir=', "'' is not a directory"),
        (2, '--log_dir=gs://bucket/x', "'gs://bucket/x' is not a directory"),
        (2, '--input_data_dir=s3://bucket', "'s3://bucket' is not a directory"),
        (2, '--learning_rte=0.1', 'unrecognized arguments: --learning_rte=0.1'),
        (2, '--max=5', 'unrecognized'),
        (2, '--hidden1', 'expected one argument'),
        (2, '--fake_data=1', 'ignored explicit argument'),
    ],
)
def test_bad_flag_is_named_and_nothing_touched(
    tmp_path, monkeypatch, status, flag, words
):
    monkeypatch.chdir(tmp_path)
    os.symlink('nowhere', 'dangling')
    result = call('--input_data_dir=data', '--log_dir=log', flag)
    assert_one_line(result, status, SAYS, words, flag[:6])
    assert os.listdir(str(tmp_path)) == ['dangling']


@pytest.fixture
def data(digits_dir, tmp_path):
    """A data directory with links to the generated digits, to be replaced singly."""
    directory = tmp_path / 'data'
    directory.mkdir()
    for name in os.listdir(digits_dir):
        (directory / name).symlink_to(os.path.join(digits_dir, name))
    return directory


def replace(data, name, array):
    (data / name).unlink()
    write_idx(str(data / name), array)


def test_data_that_the_model_does_not_fit(flags, data, tmp_path):
    """The earlier run in the log directory is left as it was."""
    arguments = flags(tmp_path / 'log', '--input_data_dir', str(data))
    assert call(*arguments, '--max_steps=1')[0] == 0
    before = files_in(tmp_path / 'log')
    result = call(*arguments, '--batch_size=2001')
    assert_one_line(result, 1, '--batch_size is above the number of training')
    remedy = 'give another --input_data_dir, or change mnist.py'
    replace(data, input_data.TEST_LABELS, np.full(1000, 10, np.uint8))
    assert_one_line(call(*arguments), 1, 'one of the labels is 10', remedy)
    replace(data, input_data.TRAIN_IMAGES, np.zeros((7000, 14, 20), np.uint8))
    replace(data, input_data.TEST_IMAGES, np.zeros((1000, 14, 20), np.uint8))
    assert_one_line(call(*arguments), 1, 'the images have 280 pixels', remedy)
    (data / input_data.TRAIN_LABELS).unlink()
    (data / input_data.TRAIN_LABELS).write_bytes(b'<html>')
    assert_one_line(call(*arguments), 1, str(data / input_data.TRAIN_LABELS))
    assert files_in(tmp_path / 'log') == before


def test_no_data_and_no_network(flags, monkeypatch, tmp_path):
    monkeypatch.setattr(input_data, 'BUNDLED', '/nowhere')
    for name in 'http_proxy', 'https_proxy', 'all_proxy', 'no_proxy':
        url = '' if name == 'no_proxy' else 'http://127.0.0.1:1'  # nobody listens there
        monkeypatch.setenv(name, url)
        monkeypatch.setenv(name.upper(), url)
    data = tmp_path / 'data'
    result = call(*flags(tmp_path / 'log', '--input_data_dir', str(data)))
    assert_one_line(result, 1, str(data), *input_data.SHA256)
    assert not data.exists()


def test_log_directory_that_cannot_be_used(flags, digits_dir, tmp_path):
    latin = str(tmp_path / 'latin-\udce9')
    assert_one_line(call(*flags(latin)), 1, '--log_dir', "'utf-8' codec can't encode")
    (tmp_path / 'log').mkdir(0o555)
    with without_rights(tmp_path / 'log', digits_dir):
        result = call(*flags(tmp_path / 'log'))
    told = 'Permission denied; give a --train_dir of your own'
    assert_one_line(result, 1, '--log_dir %s: %s' % (tmp_path / 'log', told))


def test_data_of_another_user(flags, digits_dir, tmp_path):
    data = shutil.copytree(digits_dir, str(tmp_path / 'data'))
    path = os.path.join(data, input_data.TEST_LABELS)
    os.chmod(path, 0)
    (tmp_path / 'log').mkdir(0o777)
    os.chmod(str(tmp_path / 'log'), 0o777)
    with without_rights(data, tmp_path / 'log'):
        result = call(*flags(tmp_path / 'log', '--input_data_dir', data))
    remedy = 'give an --input_data_dir or --train_dir of your own'
    assert_one_line(result, 1, path, remedy)


def test_interrupted_while_reading(start, flags, data, tmp_path):
    pipe = str(data / input_data.TRAIN_IMAGES)
    os.unlink(pipe)
    os.mkfifo(pipe)
    process = start(*flags(tmp_path / 'log', '--input_data_dir', data))
    with open(pipe, 'wb'):  # which waits until the program reads
        while process.poll() is None:  # a signal before the read would be lost in it
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        stdout, stderr = process.communicate()
    assert process.returncode in (130, -signal.SIGINT) and stdout == ''
    (line,) = own_lines(stderr)
    assert line.startswith('fully_connected_feed: interrupted')


@pytest.mark.parametrize('more', ['--max_steps=950', '--max_steps=1', '--eval_steps=1'])
def test_loss_that_is_not_finite_is_not_saved(run, flags, tmp_path, more):
    assert call(*flags(tmp_path, '--max_steps=3'))[0] == 0
    before = variables(tmp_path, 2)
    for step, result in (
        (3, resume(tmp_path, more, '--learning_rate=1e30', '--max_steps=9')),
        (0, run(*flags(tmp_path / 'new', '--learning_rate=3e38', more))),
    ):
        status, _, lines = result
        assert status == 1 and len(lines) == (2 if step else 1)  # 'going on from ...'
        told = 'step %d: the loss diverges; lower the --learning_rate'
        assert lines[-1][len(SAYS) :] in [told % step, told % (step + 1)]
    assert steps_saved(tmp_path) == [2] and variables(tmp_path, 2) == before
    assert steps_saved(tmp_path / 'new') == []


def test_of_the_lines_of_tensorflow_the_first_is_told(monkeypatch):
    def fail():
        raise tf.errors.UnknownError(None, None, 'first\nsecond')

    monkeypatch.setattr(fully_connected_feed, 'run_training', fail)
    assert call('--fake_data') == (1, [], [SAYS + 'first'])


def test_mistake_in_code_of_ones_own_keeps_its_traceback(monkeypatch):
    def fail():
        raise IndexError('list index out of range')

    monkeypatch.setattr(fully_connected_feed, 'run_training', fail)
    with pytest.raises(IndexError):
        call('--fake_data')


def test_stdout_that_is_closed(run, flags, tmp_path):
    shell = 'sh', '-c', '"$@" >&-', 'sh', sys.executable, PROGRAM
    assert run(*flags(tmp_path, '--max_steps=1'), command=shell) == (0, [], [])
    assert steps_saved(tmp_path) == [0]


@pytest.fixture
def mount(tmp_path):
    """Returns a function that mounts a tmpfs with options and returns its path."""
    directory = str(tmp_path / 'mounted')
    os.mkdir(directory)

    def mount(options):
        command = ['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', directory]
        if shutil.which('mount') is None or subprocess.call(command) != 0:
            pytest.skip('cannot mount a file system here')
        return directory

    yield mount
    if os.path.ismount(directory):
        # Lazily: the program leaves its event file open until its process ends.
        subprocess.check_call(['umount', '-l', directory])


# In KiB: room for no record; no event; half the graph; three checkpoints.
@pytest.mark.parametrize(
    'size, kept', [(0, []), (4, []), (20, []), (1500, [99, 199, 299])]
)
def test_full_disk(run, flags, finished, mount, size, kept):
    directory = mount('size=6m')
    filler = os.path.join(directory, 'filler')
    with open(filler, 'wb') as f:
        f.write(bytes((6144 - size) * 1024))
    log_dir = os.path.join(directory, 'log')
    status, _, lines = run(*flags(log_dir))  # with a traceback of TensorFlow's writer
    assert status == 1 and lines[-1].startswith(SAYS) and log_dir in lines[-1]
    assert 'is the disk full?' in lines[-1] or 'No space left' in lines[-1]
    os.remove(filler)
    assert steps_saved(log_dir) == kept
    status, _, lines = call('--resume', *flags(log_dir))
    assert (status, len(lines)) == (0, 1)
    assert variables(log_dir, 949) == variables(finished.log_dir, 949)
    assert curves(log_dir) == curves(finished.log_dir)


def test_file_size_limit(start, flags, tmp_path):
    """The last line tells, whichever file is cut off by it."""
    for blocks in '1', '60', '200':
        shell = 'sh', '-c', 'ulimit -f %s; exec "$@"' % blocks, 'sh'
        command = *shell, sys.executable, PROGRAM
        stderr = start(*flags(tmp_path / blocks), command=command).communicate()[1]
        line = own_lines(stderr)[-1]
        assert line.startswith(SAYS) and str(tmp_path / blocks) in line


@pytest.mark.parametrize('module', ['mnist', 'input_data'])
def test_another_package_of_the_same_name(run, flags, tmp_path, module):
    """Such as the mnist of the package index, which hides an installed mnist.py."""
    installed = tmp_path / 'site-packages'
    installed.mkdir()
    for name in 'fully_connected_feed.py', 'mnist.py', 'input_data.py':
        shutil.copy(os.path.join(ROOT, name), str(installed))
    (installed / module).mkdir()
    (installed / module / '__init__.py').touch()
    command = sys.executable, str(installed / 'fully_connected_feed.py')
    result = run(*flags(tmp_path / 'log'), command=command)
    assert_one_line(result, 1, 'another package hides %s.py' % module)


def test_error_without_words_is_not_an_empty_line(monkeypatch):
    def fail():
        raise MemoryError

    monkeypatch.setattr(fully_connected_feed, 'run_training', fail)
    assert call('--fake_data') == (1, [], [SAYS + 'out of memory'])


@pytest.mark.parametrize('flag', ['--log_dir', '--input_data_dir'])
def test_directory_that_nobody_can_write(flags, mount, tmp_path, flag):
    directory = os.path.join(mount('ro'), 'new')
    assert_one_line(call(*flags(tmp_path / 'log', flag, directory)), 1, directory)


def test_help_where_the_path_of_temporary_files_has_a_percent_sign(run, tmp_path):
    (tmp_path / '100%').mkdir()
    env = dict(os.environ, TMPDIR=str(tmp_path / '100%'))
    status, stdout, stderr = run('--help', env=env)
    assert (status, stderr) == (0, [])
    assert '100%/tensorflow/mnist/input_data' in '\n'.join(stdout)
