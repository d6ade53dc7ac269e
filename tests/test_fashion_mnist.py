"""Real data that isn't MNIST, from Debian's package dataset-fashion-mnist."""

import os

import pytest

import input_data
from helpers import call

DIRECTORY = '/usr/share/datasets/fashion-mnist'


@pytest.mark.skipif(
    not os.path.isdir(DIRECTORY), reason='dataset-fashion-mnist is not installed'
)
def test_fashion_mnist_is_read_and_learned(flags, tmp_path):
    sets = input_data.read_data_sets(DIRECTORY)
    assert [data_set.num_examples for data_set in sets] == [55000, 5000, 10000]
    for data_set in sets:
        images, labels = data_set.next_batch(5000)
        assert images.shape == (5000, 784)
        assert images.min() == 0 and images.max() == 1
        assert set(labels) == set(range(10))
    changed = '--input_data_dir', DIRECTORY, '--eval_steps=950'
    status, stdout, stderr = call(*flags(tmp_path, *changed))
    assert (status, stderr) == (0, [])
    assert stdout[-1].startswith('  Num examples: 10000 ')
    assert 0.6 < float(stdout[-1].split()[-1]) < 0.95
