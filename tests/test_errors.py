"""Each mistake and each mishap ends in one line on stderr, without a traceback."""

import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

import generate_digits
import input_data
from helpers import (
    PROGRAM,
    call,
    curves,
    files_in,
    flags_for,
    own_lines,
    variables,
    without_rights,
)

SIZES = ['0', '-1', '1.5', 'ten', 'nan', 'inf', '', str(2**31)]
BAD_VALUES = {
    'max_steps': SIZES[1:],
    'hidden1': SIZES,
    'hidden2': SIZES,
    'batch_size': SIZES,
    'eval_steps': SIZES,
    'learning_rate': ['0', '-0.01', 'fast', 'nan', 'inf', '-inf', '1e39', '1e-46', ''],
    'seed': ['-1', '0.5', 'x', str(2**32)],
    'input_data_dir': ['', __file__],
    'log_dir': ['', __file__],
    'train_dir': ['', __file__],
}
BAD_FLAGS = [
    ('--' + name, ['--%s=%s' % (name, value)])
    for name in sorted(BAD_VALUES)
    for value in BAD_VALUES[name]
] + [
    ('--learning_rte', ['--learning_rte', '0.1']),
    ('--max', ['--max', '5']),
    ('--res', ['--res']),
    ('--hidden1', ['--hidden1']),
    ('--log_dir', ['--log_dir']),
    ('--fake_data', ['--fake_data=1']),
    ('200', ['200']),
]
SHORT_RUN = '--seed=5', '--eval_steps=50', '--max_steps=200'
SECONDS = 120  # until a program that should have ended long ago counts as hung


@pytest.mark.parametrize('name, flags', BAD_FLAGS, ids=lambda x: ' '.join(x)[-30:])
def test_bad_flag_is_named_and_nothing_touched(tmp_path, name, flags):
    directories = flags_for(str(tmp_path / 'data'), str(tmp_path / 'log'))
    status, stdout, (line,) = call(*directories + flags)
    assert (status, stdout) == (2, [])
    assert name in line
    assert os.listdir(str(tmp_path)) == []


def test_bad_flag_where_a_user_sees_it(run, tmp_path):
    directories = flags_for(str(tmp_path / 'data'), str(tmp_path / 'log'))
    assert run('--learning_rte', '0.1', *directories) == (
        2,
        [],
        ['fully_connected_feed: unrecognized arguments: --learning_rte 0.1'],
    )
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize(
    'flag, words',
    [
        ('--batch_size=3000000000', 'not a whole number from 1 to 2147483647'),
        ('--log_dir=dangling', 'a link that leads nowhere'),
        ('--log_dir=latin-\udce9', 'UTF-8'),
    ],
)
def test_what_is_wrong_is_called_what_it_is(tmp_path, monkeypatch, flag, words):
    monkeypatch.chdir(tmp_path)
    os.symlink('nowhere', 'dangling')
    status, stdout, (line,) = call(flag)
    assert (status, stdout) == (2, [])
    assert flag.split('=')[0] in line and words in line


def test_layer_too_large_for_memory(digits_dir, tmp_path):
    result = call(*flags_for(digits_dir, str(tmp_path), '--hidden1=2000000000'))
    assert_one_line(result, '--hidden1 2000000000', 'too large for memory')


def test_labels_that_the_model_has_no_class_for(digits_dir, tmp_path):
    data = links_to(digits_dir, tmp_path / 'data')
    (data / input_data.TEST_LABELS).unlink()
    labels = [np.full(1000, 26, np.uint8)]
    generate_digits.write_idx(str(data / input_data.TEST_LABELS), (1000,), labels)
    result = call(*flags_for(str(data), str(tmp_path / 'log')))
    assert_one_line(result, '--input_data_dir %s' % data, 'label 26', '10 classes')


def test_log_directory_of_another_user(digits_dir, tmp_path):
    log_dir = tmp_path / 'log'
    log_dir.mkdir(0o555)
    with without_rights(log_dir):
        result = call(*flags_for(digits_dir, str(log_dir)))
    assert_one_line(result, '--log_dir %s' % log_dir, 'ermission denied')


def links_to(digits_dir, directory):
    """A data directory with links to the generated digits, to be replaced singly."""
    directory.mkdir()
    for name in os.listdir(digits_dir):
        (directory / name).symlink_to(os.path.join(digits_dir, name))
    return directory


def assert_one_line(result, *parts):
    status, stdout, (line,) = result
    assert (status, stdout) == (1, [])
    for part in parts:
        assert part in line


@pytest.fixture
def earlier(digits_dir, tmp_path):
    """A log directory with a short run's files."""
    log_dir = str(tmp_path / 'earlier')
    flags = flags_for(digits_dir, log_dir, '--max_steps=3', '--seed=5')
    assert call(*flags)[::2] == (0, [])
    return log_dir


def test_batch_larger_than_the_training_set(digits_dir, earlier):
    before = files_in(earlier)
    result = call(*flags_for(digits_dir, earlier, '--batch_size=2001', '--max_steps=1'))
    assert_one_line(result, '--batch_size 2001', '2000 examples')
    assert files_in(earlier) == before


def test_images_of_another_size(digits_dir, earlier, tmp_path):
    data = links_to(digits_dir, tmp_path / 'data')
    before = files_in(earlier)
    for name, count in (
        (input_data.TRAIN_IMAGES, 7000),
        (input_data.TEST_IMAGES, 1000),
    ):
        (data / name).unlink()
        images = [np.zeros((count, 14, 20), np.uint8)]
        generate_digits.write_idx(str(data / name), (count, 14, 20), images)
    result = call(*flags_for(str(data), earlier))
    assert_one_line(result, '--input_data_dir %s' % data, '14, 20')
    assert files_in(earlier) == before


@pytest.mark.parametrize('name', sorted(input_data.SHA256))
@pytest.mark.parametrize('damage', ['cut off', 'text', 'folder'])
def test_damaged_data_file(digits_dir, tmp_path, name, damage):
    path = links_to(digits_dir, tmp_path / 'data') / name
    content = path.read_bytes()
    path.unlink()
    if damage == 'folder':
        path.mkdir()
    else:
        path.write_bytes(content[:-20] if damage == 'cut off' else b'<html>')
    result = call(*flags_for(str(tmp_path / 'data'), str(tmp_path / 'log')))
    assert_one_line(result, str(path))


@pytest.fixture
def proxy(monkeypatch):
    """A proxy on 127.0.0.1 that all downloads go through and that never answers."""
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        listener.settimeout(SECONDS)
        for name in 'http_proxy', 'https_proxy', 'all_proxy', 'no_proxy':
            url = 'http://127.0.0.1:%d' % listener.getsockname()[1]
            for spelling in name, name.upper():
                monkeypatch.setenv(spelling, '' if name == 'no_proxy' else url)
        yield listener


def test_no_data_and_no_network(proxy, tmp_path):
    # Nobody listens yet, so the connection is refused.
    result = call(*flags_for(str(tmp_path / 'data'), str(tmp_path / 'log')))
    assert_one_line(result, str(tmp_path / 'data'), *input_data.SHA256)
    assert not (tmp_path / 'data').exists()


def test_interrupted_while_downloading(start, proxy, tmp_path):
    proxy.listen(1)
    process = start(*flags_for(str(tmp_path / 'data'), str(tmp_path / 'log')))
    connection, _ = proxy.accept()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=SECONDS)
    connection.close()
    assert (process.returncode, stdout) == (130, '')
    assert own_lines(stderr) == ['fully_connected_feed: interrupted']
    assert not (tmp_path / 'data').exists()


def test_interrupted_while_reading(start, digits_dir, tmp_path):
    data = links_to(digits_dir, tmp_path / 'data')
    pipe = str(data / input_data.TRAIN_IMAGES)
    os.unlink(pipe)
    os.mkfifo(pipe)
    process = start(*flags_for(str(data), str(tmp_path / 'log')))
    with open(pipe, 'wb'):  # which waits until the program reads
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=SECONDS)
    assert (process.returncode, stdout) == (130, '')
    assert own_lines(stderr) == ['fully_connected_feed: interrupted']


@pytest.mark.parametrize('flags', ['--max_steps=1', '--max_steps=9 --eval_steps=1', ''])
@pytest.mark.parametrize('rate', ['1e30', '3e38'])
def test_loss_that_is_not_finite(digits_dir, tmp_path, rate, flags):
    log_dir = str(tmp_path)
    flags = ['--learning_rate', rate, '--seed=5'] + flags.split()
    status, _, (line,) = call(*flags_for(digits_dir, log_dir, *flags))
    assert status == 1
    assert line.startswith('fully_connected_feed: step 1: the loss is ')
    assert '--learning_rate' in line
    assert [name for name in os.listdir(log_dir) if 'ckpt' in name] == []


def test_loss_that_is_not_finite_leaves_the_checkpoint_before(earlier):
    before = variables(earlier, 'model.ckpt-2')
    flags = '--resume', '--learning_rate=1e30', '--max_steps=9', '--eval_steps=1'
    status, _, (line,) = call('--log_dir', earlier, *flags)
    assert status == 1 and 'step 4: the loss is ' in line
    assert variables(earlier, 'model.ckpt-2') == before
    assert not [name for name in os.listdir(earlier) if 'ckpt-3' in name]


def test_stdout_closed_early(start, digits_dir, tmp_path):
    process = start(*flags_for(digits_dir, str(tmp_path)))
    assert process.stdout.readline().startswith('Step 0:')
    process.stdout.close()
    stderr = process.stderr.read()
    assert process.wait() == 128 + signal.SIGPIPE
    assert own_lines(stderr) == []


@pytest.fixture
def mounted(tmp_path):
    """Returns a function that mounts a tmpfs with options and returns its path."""
    directory = str(tmp_path / 'mounted')
    os.mkdir(directory)

    def mount(options):
        command = ['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', directory]
        try:
            subprocess.check_output(command, stderr=subprocess.STDOUT)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip('cannot mount a file system here')
        return directory

    yield mount
    if os.path.ismount(directory):
        # Lazily: the program leaves its event file open until its process ends.
        subprocess.check_call(['umount', '-l', directory])


@pytest.fixture(scope='module')
def undisturbed(digits_dir, tmp_path_factory):
    """The log directory of a run that the disk had room for."""
    log_dir = str(tmp_path_factory.mktemp('undisturbed'))
    assert call(*flags_for(digits_dir, log_dir, *SHORT_RUN))[::2] == (0, [])
    return log_dir


# In KiB: room for no record; no event; half the graph; one checkpoint; three.
@pytest.mark.parametrize('size', [0, 4, 20, 600, 1500])
def test_full_disk(start, digits_dir, undisturbed, mounted, size):
    directory = mounted('size=4m')
    filler = os.path.join(directory, 'filler')
    with open(filler, 'wb') as f:
        f.write(bytes((4096 - size) * 1024))
    log_dir = os.path.join(directory, 'log')
    flags = flags_for(digits_dir, log_dir, *SHORT_RUN)
    process = start(*flags)
    _, stderr = process.communicate(timeout=SECONDS)
    (line,) = own_lines(stderr)
    assert process.returncode == 1
    assert log_dir in line
    assert line.endswith('is the disk full?' if size else 'No space left on device')

    os.remove(filler)
    kept = [name for name in os.listdir(log_dir) if name.endswith('.index')]
    assert len(kept) == {600: 1, 1500: 3}.get(size, 0)
    status, _, stderr = call('--resume', *flags)
    assert (status, len(stderr)) == (0, 0 if kept else 1)  # one: starts at step 0
    assert variables(log_dir, 'model.ckpt-199') == variables(
        undisturbed, 'model.ckpt-199'
    )
    assert curves(log_dir) == curves(undisturbed)


@pytest.mark.parametrize('flag', ['--log_dir', '--input_data_dir'])
def test_directory_that_nobody_can_write(digits_dir, mounted, tmp_path, flag):
    directory = os.path.join(mounted('ro'), 'new')
    flags = flags_for(digits_dir, str(tmp_path / 'log')) + [flag, directory]
    assert_one_line(call(*flags), directory)


def test_stdout_that_nobody_wants(digits_dir, tmp_path):
    command = [sys.executable, PROGRAM, '--max_steps=1']
    command += flags_for(digits_dir, str(tmp_path))
    process = subprocess.run(
        ['sh', '-c', '"$@" >&-', 'sh'] + command,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    assert (process.returncode, own_lines(process.stderr)) == (0, [])
    assert (tmp_path / 'model.ckpt-0.index').exists()


def test_stdout_on_a_full_disk(digits_dir, tmp_path):
    if not os.path.exists('/dev/full'):
        pytest.skip('there is no /dev/full')
    with open('/dev/full', 'w') as full:
        process = subprocess.Popen(
            [sys.executable, PROGRAM] + flags_for(digits_dir, str(tmp_path)),
            stdout=full,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )
    (line,) = own_lines(process.communicate(timeout=SECONDS)[1])
    assert process.returncode == 1
    assert 'No space left on device' in line
