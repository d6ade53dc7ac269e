"""Old TensorFlow 1.x scripts run again once their import lines are changed."""

import os
import re
import subprocess
import sys

import pytest

from helpers import ROOT


def run_script(path, *arguments, **options):
    """Runs a script as a user would; returns what it printed."""
    command = [sys.executable, str(path)] + list(arguments)
    environment = dict(os.environ, PYTHONPATH=ROOT)
    return subprocess.check_output(
        command, env=environment, universal_newlines=True, **options
    )


# One in ten is right by chance; each bound is a little under what several runs reached.
# An autoencoder that always draws the mean digit errs by 0.065, with blank images by 0.
@pytest.mark.parametrize(
    'name, least, most',
    [
        ('softmax_regression', 0.85, 1),
        ('multilayer_perceptron', 0.87, 1),
        ('convolutional_net', 0.86, 1),
        ('nearest_neighbour', 0.77, 1),  # of 200 digits, so it varies more
        ('autoencoder', 0.012, 0.025),
    ],
)
def test_old_script_learns_the_digits(digits_dir, name, least, most):
    path = os.path.join(ROOT, 'tests', 'old_scripts', name + '.py')
    stdout = run_script(path, digits_dir)
    found = re.search(r'(?:Accuracy|Mean error): ([\d.]+)\s*$', stdout)
    assert least < float(found.group(1)) <= most
    if name == 'nearest_neighbour':
        # Of 2,000 examples 5,000 are asked for: one epoch and, as in TensorFlow 1.x,
        # one more.
        assert 'Done with 4000 training examples' in stdout
