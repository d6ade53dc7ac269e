"""The fixtures that several tests share."""

import os
import signal
import subprocess
import sys

import pytest

import generate_digits
from helpers import PROGRAM, own_lines

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup and a shell's & ignore them,
signal.signal(signal.SIGINT, signal.default_int_handler)  # and the program would too


@pytest.fixture(scope='session')
def digits_dir(tmp_path_factory):
    """A folder with 7,000 generated training digits and 1,000 for testing."""
    directory = str(tmp_path_factory.mktemp('digits'))
    generate_digits.generate(directory, train=7000, test=1000)
    return directory


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

    It takes the flags and returns the subprocess.Popen, whose output is text.
    """
    started = []

    def start(*flags):
        process = subprocess.Popen(
            [sys.executable, PROGRAM] + [str(flag) for flag in flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run(start):
    """Returns a function that runs the program with flags to its end.

    It returns the exit status, the lines of stdout, and the lines of stderr that the
    program itself wrote, without those of TensorFlow's import.
    """

    def run(*flags):
        process = start(*flags)
        stdout, stderr = process.communicate()
        return process.returncode, stdout.splitlines(), own_lines(stderr)

    return run
