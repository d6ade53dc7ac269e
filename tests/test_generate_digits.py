"""The generated digits: deterministic, of the sizes asked for, never over a file."""

import os
import subprocess
import sys

import numpy as np
import pytest

import generate_digits
import input_data

PROGRAM = generate_digits.__file__


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_seed_gives_the_same_files_and_another_seed_other_ones(tmp_path):
    for name, seed in [('a', 1), ('b', 1), ('c', 2)]:
        generate_digits.generate(str(tmp_path / name), train=30, test=20, seed=seed)
    assert contents(tmp_path / 'a') == contents(tmp_path / 'b')
    assert contents(tmp_path / 'a') != contents(tmp_path / 'c')


def test_it_writes_as_many_digits_as_asked_of_all_ten_classes(tmp_path):
    subprocess.check_call(
        [sys.executable, PROGRAM, str(tmp_path), '--train', '300', '--test', '100']
    )
    data_sets = input_data.read_data_sets(str(tmp_path), validation_size=0)
    assert data_sets.train.num_examples == 300
    assert data_sets.test.num_examples == 100
    assert set(data_sets.train.labels) == set(data_sets.test.labels) == set(range(10))
    assert len(np.unique(data_sets.train.images, axis=0)) == 300


@pytest.mark.parametrize('name', sorted(input_data.SHA256))
def test_a_file_that_is_there_is_never_overwritten(tmp_path, name):
    (tmp_path / name).write_bytes(b'mine')
    process = subprocess.run(
        [sys.executable, PROGRAM, str(tmp_path), '--train', '30', '--test', '10'],
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    assert process.returncode == 1
    assert process.stderr.count('\n') == 1
    assert str(tmp_path / name) in process.stderr
    assert contents(tmp_path) == {name: b'mine'}


def test_no_half_written_file_stays(tmp_path, monkeypatch):
    def fail(labels, rng):
        raise OSError('disk full')

    monkeypatch.setattr(generate_digits, 'draw', fail)
    with pytest.raises(OSError):
        generate_digits.generate(str(tmp_path), train=30, test=10)
    assert not os.listdir(str(tmp_path))
