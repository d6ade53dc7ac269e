"""Real data that isn't MNIST, from Debian's package dataset-fashion-mnist."""

import os
import re

import pytest

import input_data

DIRECTORY = '/usr/share/datasets/fashion-mnist'

pytestmark = pytest.mark.skipif(
    not os.path.isdir(DIRECTORY), reason='dataset-fashion-mnist is not installed'
)


def test_fashion_mnist_is_read():
    sets = input_data.read_data_sets(DIRECTORY)
    assert [data_set.num_examples for data_set in sets] == [55000, 5000, 10000]
    for data_set in sets:
        images, labels = data_set.next_batch(5000)
        assert images.shape == (5000, 784)
        assert images.min() == 0 and images.max() == 1
        assert set(labels) == set(range(10))


def test_model_learns_fashion_mnist(run, tmp_path):
    status, stdout, stderr = run(
        *['--input_data_dir', DIRECTORY, '--log_dir', tmp_path, '--max_steps', 300],
        *['--seed', 1],
    )
    assert (status, stderr) == (0, [])
    assert stdout[-2] == 'Test Data Eval:'
    found = re.match(r'  Num examples: 10000 .* Precision @ 1: (0\.\d+)$', stdout[-1])
    assert float(found.group(1)) > 0.5
