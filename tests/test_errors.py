"""Each mistake and each mishap ends in one line on stderr, without a traceback."""

import os
import signal
import socket
import subprocess

import numpy as np
import pytest

import generate_digits
import input_data
from helpers import (
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
    'hidden2': ['0'],
    'batch_size': ['0'],
    'eval_steps': ['0'],
    'learning_rate': ['0', '-0.01', 'fast', 'nan', 'inf', '1e39', '1e-46', ''],
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
    ('--hidden1', ['--hidden1']),
    ('--fake_data', ['--fake_data=1']),
    ('200', ['200']),
]


def assert_one_line(result, *parts):
    status, stdout, (line,) = result
    assert (status, stdout) == (1, [])
    for part in parts:
        assert part in line


@pytest.mark.parametrize('name, flags', BAD_FLAGS, ids=lambda x: ' '.join(x)[-30:])
def test_bad_flag_is_named_and_nothing_touched(tmp_path, name, flags):
    directories = flags_for(str(tmp_path / 'data'), str(tmp_path / 'log'))
    status, stdout, (line,) = call(*directories + flags)
    assert (status, stdout) == (2, [])
    assert name in line
    assert os.listdir(str(tmp_path)) == []


def test_bad_flag_where_a_user_sees_it(run):
    line = 'fully_connected_feed: error: unrecognized arguments: --learning_rte 0.1'
    assert run('--learning_rte', '0.1') == (2, [], [line])


@pytest.mark.parametrize(
    'flag, status, words',
    [
        ('--batch_size=3000000000', 2, 'no whole number from 1 to 2147483647'),
        ('--log_dir=dangling', 2, 'a link that leads nowhere'),
        ('--log_dir=latin-\udce9', 1, 'utf-8'),
        ('--hidden1=2000000000', 1, 'too large for memory'),
        ('--hidden2=2000000000', 1, 'too large for memory'),
    ],
)
def test_what_is_wrong_is_called_what_it_is(
    digits_dir, tmp_path, monkeypatch, flag, status, words
):
    monkeypatch.chdir(tmp_path)
    os.symlink('nowhere', 'dangling')
    result = call(*flags_for(digits_dir, 'log'), flag)
    assert result[:2] == (status, [])
    assert flag.split('=')[0] in result[2][0] and words in result[2][0]


def test_log_directory_of_another_user(digits_dir, tmp_path):
    log_dir = tmp_path / 'log'
    log_dir.mkdir(0o555)
    with without_rights(log_dir):
        result = call(*flags_for(digits_dir, str(log_dir)))
    assert_one_line(result, '--log_dir %s: Permission denied; choose ano' % log_dir)


@pytest.fixture
def data(digits_dir, tmp_path):
    """A data directory with links to the generated digits, to be replaced singly."""
    directory = tmp_path / 'data'
    directory.mkdir()
    for name in os.listdir(digits_dir):
        (directory / name).symlink_to(os.path.join(digits_dir, name))
    return directory


def replace(data, name, *shape, value=0):
    (data / name).unlink()
    array = np.full(shape, value, np.uint8)
    generate_digits.write_idx(str(data / name), shape, [array])


@pytest.fixture
def earlier(digits_dir, tmp_path):
    """A log directory with a short run's files."""
    log_dir = str(tmp_path / 'earlier')
    flags = flags_for(digits_dir, log_dir, '--max_steps=3', '--seed=5')
    assert call(*flags)[::2] == (0, [])
    return log_dir


def test_data_that_the_model_cannot_be_trained_on(data, earlier):
    before = files_in(earlier)
    flags = flags_for(str(data), earlier)
    assert_one_line(call(*flags, '--batch_size=2001'), '--batch_size', '2000 examples')
    replace(data, input_data.TEST_LABELS, 1000, value=26)
    where = '--input_data_dir %s' % data
    assert_one_line(call(*flags), where, 'label 26', '10 classes')
    replace(data, input_data.TRAIN_IMAGES, 7000, 14, 20)
    replace(data, input_data.TEST_IMAGES, 1000, 14, 20)
    assert_one_line(call(*flags), where, '14, 20')
    assert files_in(earlier) == before


@pytest.mark.parametrize('damage', ['cut off', 'text', 'folder'])
def test_damaged_data_file(data, tmp_path, damage):
    path = data / input_data.TEST_IMAGES
    content = path.read_bytes()
    path.unlink()
    if damage == 'folder':
        path.mkdir()
    else:
        path.write_bytes(content[:-20] if damage == 'cut off' else b'<html>')
    assert_one_line(call(*flags_for(str(data), str(tmp_path / 'log'))), str(path))


@pytest.fixture
def proxy(monkeypatch):
    """A proxy on 127.0.0.1 that all downloads go through and that never answers."""
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        listener.settimeout(120)
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


def interrupt(process):
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate()
    assert (process.returncode, stdout) == (130, '')
    assert own_lines(stderr) == ['fully_connected_feed: interrupted']


def test_interrupted_while_downloading(start, proxy, tmp_path):
    proxy.listen(1)
    process = start(*flags_for(str(tmp_path / 'data'), str(tmp_path / 'log')))
    with proxy.accept()[0]:
        interrupt(process)
    assert not (tmp_path / 'data').exists()


def test_interrupted_while_reading(start, data, tmp_path):
    pipe = data / input_data.TRAIN_IMAGES
    pipe.unlink()
    os.mkfifo(str(pipe))
    process = start(*flags_for(str(data), str(tmp_path / 'log')))
    with open(str(pipe), 'wb'):  # which waits until the program reads
        interrupt(process)


@pytest.mark.parametrize('flags', [[], ['--max_steps=9', '--eval_steps=1']])
@pytest.mark.parametrize('rate', ['1e30', '3e38'])
def test_loss_that_is_not_finite(digits_dir, earlier, tmp_path, rate, flags):
    log_dir = str(tmp_path / 'log')
    flags = ['--learning_rate', rate, '--seed=5'] + flags
    status, _, (line,) = call(*flags_for(digits_dir, log_dir, *flags))
    assert status == 1
    assert line.startswith('fully_connected_feed: step 1: loss ')
    assert '--learning_rate' in line
    assert [name for name in os.listdir(log_dir) if 'ckpt' in name] == []

    before = variables(earlier, 'model.ckpt-2')
    flags = '--resume', '--learning_rate', rate, '--max_steps=9', '--eval_steps=1'
    status, _, (line,) = call('--log_dir', earlier, *flags)
    assert status == 1 and 'step 4: loss ' in line
    assert variables(earlier, 'model.ckpt-2') == before
    assert not [name for name in os.listdir(earlier) if 'ckpt-3' in name]


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


# In KiB: room for no record; no event; half the graph; one checkpoint; three.
@pytest.mark.parametrize('size, kept', [(0, 0), (4, 0), (20, 0), (600, 1), (1500, 3)])
def test_full_disk(run, undisturbed, mounted, size, kept):
    directory = mounted('size=4m')
    filler = os.path.join(directory, 'filler')
    with open(filler, 'wb') as f:
        f.write(bytes((4096 - size) * 1024))
    log_dir = os.path.join(directory, 'log')
    flags = [*undisturbed[0], '--log_dir', log_dir]
    status, _, (line,) = run(*flags)
    assert status == 1 and log_dir in line
    assert 'is the disk full?' in line or 'No space left on device' in line

    os.remove(filler)
    found = [name for name in os.listdir(log_dir) if name.endswith('.index')]
    assert len(found) == kept
    status, _, stderr = call('--resume', *flags)
    assert (status, len(stderr)) == (0, 0 if kept else 1)  # one: starts at step 0
    last = 'model.ckpt-999'
    assert variables(log_dir, last) == variables(undisturbed[1], last)
    assert curves(log_dir) == curves(undisturbed[1])


@pytest.mark.parametrize('flag', ['--log_dir', '--input_data_dir'])
def test_directory_that_nobody_can_write(digits_dir, mounted, tmp_path, flag):
    directory = os.path.join(mounted('ro'), 'new')
    flags = flags_for(digits_dir, str(tmp_path / 'log')) + [flag, directory]
    assert_one_line(call(*flags), directory)


def test_stdout_that_nobody_wants(run, tmp_path):
    flags = '--fake_data', '--max_steps=1', '--log_dir', tmp_path
    closed = ['sh', '-c', '"$0" "$@" >&-']
    assert run(*flags, before=closed) == (0, [], [])
    assert (tmp_path / 'model.ckpt-0.index').exists()


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='there is no /dev/full')
def test_stdout_on_a_full_disk(run, tmp_path):
    with open('/dev/full', 'w') as full:
        result = run('--fake_data', '--log_dir', tmp_path, stdout=full)
    assert_one_line(result, 'No space left on device')
