"""Old TensorFlow 1.x scripts run again once their import lines are changed.

Another one is in the README, and tried by test_docs.py.
"""

import os
import re
import subprocess
import sys

import pytest

from helpers import ROOT

SCRIPTS = os.path.join(ROOT, 'tests', 'old_scripts')


def run_script(path, data_dir):
    """Runs a script as a user would; returns what it printed, its end as a number."""
    result = subprocess.run(
        [sys.executable, path, data_dir],
        env=dict(os.environ, PYTHONPATH=ROOT),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=900,  # only a script that hangs takes so long
    )
    assert result.returncode == 0, result.stderr
    number = re.search(r'(?:Accuracy|Mean error): ([\d.]+)\s*$', result.stdout)
    assert number, result.stdout
    return result.stdout, float(number.group(1))


# One in ten is right by chance; each bound is just under what the script reaches.
@pytest.mark.parametrize(
    'name, least',
    [
        ('softmax_regression', 0.93),
        ('multilayer_perceptron', 0.94),
        ('convolutional_net', 0.94),
    ],
)
def test_classifier_learns_the_digits(digits_dir, name, least):
    _, accuracy = run_script(os.path.join(SCRIPTS, name + '.py'), digits_dir)
    assert least < accuracy <= 1


def test_nearest_neighbour_is_found_among_a_batch_of_5000(digits_dir):
    path = os.path.join(SCRIPTS, 'nearest_neighbour.py')
    stdout, accuracy = run_script(path, digits_dir)
    # There are 2,000: the batch is one epoch and, as in TensorFlow 1.x, one more.
    assert 'Done with 4000 training examples' in stdout
    assert 0.87 < accuracy < 1.001  # a sum of 1/200s


def test_autoencoder_draws_the_digits_again(digits_dir):
    _, error = run_script(os.path.join(SCRIPTS, 'autoencoder.py'), digits_dir)
    # Always drawing the mean digit errs by 0.070; blank images would err by 0.
    assert 0.02 < error < 0.045
