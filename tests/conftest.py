"""The fixtures that several tests share."""

import os
import signal
import subprocess
import sys

import pytest

import generate_digits
from helpers import PROGRAM, call, own_lines

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup and a shell's & ignore them,
signal.signal(signal.SIGINT, signal.default_int_handler)  # and the program would too


@pytest.fixture(scope='session')
def digits_dir(tmp_path_factory):
    """A folder with 7,000 generated training digits and 1,000 for testing."""
    directory = str(tmp_path_factory.mktemp('digits'))
    generate_digits.generate(directory, train=7000, test=1000)
    return directory


@pytest.fixture(scope='session')
def undisturbed(tmp_path_factory, digits_dir):
    """The flags of a run, and its log directory, which a test must not change."""
    flags = ['--input_data_dir', digits_dir, '--seed=5']
    flags += ['--max_steps=1000', '--eval_steps=100']
    log_dir = str(tmp_path_factory.mktemp('undisturbed') / 'log')
    assert call(*flags, '--log_dir', log_dir)[::2] == (0, [])
    return flags, log_dir


def folder_named_by(variable):
    if not os.environ.get(variable):
        pytest.skip('%s names no folder; see CONTRIBUTING.md' % variable)
    return os.environ[variable]


@pytest.fixture(scope='session')
def mnist_dir():
    """A folder with the real MNIST."""
    return folder_named_by('MNIST_DATA_DIR')


@pytest.fixture(scope='session')
def reference_dir():
    """A folder with numbers recorded from TensorFlow 1.3."""
    return folder_named_by('TF13_REFERENCE_DIR')


@pytest.fixture
def start():
    """Returns a function that starts the program and ends it with the test.

    It takes the flags, the words before the command, and options of subprocess.Popen;
    it returns the Popen, whose output is text.
    """
    started = []

    def start(*flags, before=(), **options):
        command = [*before, sys.executable, PROGRAM, *map(str, flags)]
        for stream in 'stdout', 'stderr':
            options.setdefault(stream, subprocess.PIPE)
        started.append(subprocess.Popen(command, universal_newlines=True, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run(start):
    """Returns a function that runs the program to its end, with start()'s arguments.

    It returns the exit status, the lines of stdout, and the lines of stderr that the
    program itself wrote.
    """

    def run(*flags, **options):
        process = start(*flags, **options)
        stdout, stderr = process.communicate(timeout=120)  # a hang takes longer
        return process.returncode, (stdout or '').splitlines(), own_lines(stderr)

    return run
