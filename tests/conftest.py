"""The fixtures that several tests share."""

import collections
import os
import random
import shutil
import signal
import subprocess
import sys

import pytest

from helpers import PROGRAM, call, own_lines
from idx_files import write_small_mnist

os.environ.pop('PYTHONUNBUFFERED', None)  # would hide lines that show too late
# nohup and a shell's & ignore these signals, and the program would, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, 'SIGHUP'):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

Run = collections.namedtuple('Run', 'log_dir lines')


@pytest.fixture(autouse=True)
def ctrl_c():
    """What a test leaves of Ctrl-C is set back."""
    yield
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope='session')
def digits_dir(tmp_path_factory):
    """A folder with the first 7,000 training digits of MNIST and 1,000 for testing."""
    directory = str(tmp_path_factory.mktemp('digits'))
    write_small_mnist(directory)
    return directory


@pytest.fixture(scope='session')
def flags(digits_dir):
    """Returns a function: the flags of a run of 950 steps, changed by those given."""

    def flags(log_dir, *changed):
        places = ['--input_data_dir', digits_dir, '--log_dir', str(log_dir)]
        numbers = ['--max_steps=950', '--eval_steps=100', '--batch_size=70', '--seed=5']
        return places + numbers + list(changed)

    return flags


@pytest.fixture(scope='session')
def finished(tmp_path_factory, flags):
    """A whole run with these flags: its log directory, to be read, and its lines."""
    log_dir = str(tmp_path_factory.mktemp('finished') / 'new' / 'log')
    status, stdout, stderr = call(*flags(log_dir))
    assert (status, stderr) == (0, [])
    return Run(log_dir, stdout)


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished run's log directory."""
    return shutil.copytree(finished.log_dir, str(tmp_path / 'log'))


@pytest.fixture
def rng():
    """Random numbers, other ones each time; a test that fails shows the seed."""
    seed = random.SystemRandom().randrange(2**32)
    print('rng = random.Random(%d)' % seed)
    return random.Random(seed)


@pytest.fixture
def start():
    """Returns a function that starts the program and ends it with the test.

    It takes the flags and options of subprocess.Popen, which it returns.
    """
    started = []

    def start(*flags, command=(sys.executable, PROGRAM), **options):
        arguments = list(command) + [str(flag) for flag in flags]
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        options = dict(pipes, universal_newlines=True, **options)
        started.append(subprocess.Popen(arguments, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run(start):
    """Returns a function that does what call() does, in a process of its own."""

    def run(*flags, **options):
        process = start(*flags, **options)
        stdout, stderr = process.communicate()
        return process.returncode, stdout.splitlines(), own_lines(stderr)

    return run
