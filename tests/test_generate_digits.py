"""The generated digits: deterministic, of the sizes asked for, never over a file."""

import os
import subprocess
import sys

import numpy as np
import pytest

import generate_digits
import input_data
from helpers import files_in


def test_digits_are_those_of_the_seed_of_all_classes_and_never_overwritten(tmp_path):
    for name, seed in ('a', 1), ('b', 1), ('c', 2):
        generate_digits.generate(str(tmp_path / name), train=300, test=100, seed=seed)
    a, b, c = [files_in(tmp_path / name) for name in 'abc']
    assert a == b and not set(a.values()) & set(c.values())
    sets = input_data.read_data_sets(str(tmp_path / 'a'), validation_size=0)
    assert [len(data_set.labels) for data_set in sets] == [300, 0, 100]
    assert set(sets.train.labels) == set(sets.test.labels) == set(range(10))
    assert len(np.unique(sets.train.images, axis=0)) == 300
    for number, path in enumerate(sorted((tmp_path / 'a').iterdir()), 1):
        assert len(list((tmp_path / 'b').iterdir())) == 5 - number
        with pytest.raises(OSError, match='is there already'):
            generate_digits.generate(str(tmp_path / 'b'))
        (tmp_path / 'b' / path.name).unlink()


def test_program_tells_in_one_line_that_a_file_is_there(tmp_path):
    command = [sys.executable, generate_digits.__file__, str(tmp_path)]
    command += ['--train=30', '--test=10']
    assert subprocess.call(command) == 0
    before = files_in(tmp_path)
    pipe = dict(stderr=subprocess.PIPE, universal_newlines=True)
    process = subprocess.run(command, **pipe)
    assert process.returncode == 1 and process.stderr.count('\n') == 1
    assert str(tmp_path) in process.stderr and files_in(tmp_path) == before


def test_no_half_written_file_stays(tmp_path, monkeypatch):
    def fail(labels, rng):
        raise OSError('disk full')

    monkeypatch.setattr(generate_digits, 'draw', fail)
    with pytest.raises(OSError):
        generate_digits.generate(str(tmp_path), train=30, test=10)
    assert not os.listdir(str(tmp_path))
