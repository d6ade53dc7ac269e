"""Runs of the program in the test's own process, and what they leave behind."""

import contextlib
import io
import os
import sys
from unittest import mock

import tensorflow.compat.v1 as tf
from tensorboard.backend.event_processing import event_accumulator

import fully_connected_feed
from conftest import own_lines


def call(*flags):
    """Runs the program in this process and returns what conftest's run() does."""
    out, err = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
    status = 0
    argv = mock.patch.object(sys, 'argv', ['program'] + list(flags))
    with argv, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            fully_connected_feed.console_main()
        except SystemExit as error:
            status = error.code
    stdout, stderr = (stream.buffer.getvalue().decode() for stream in (out, err))
    return status, stdout.splitlines(), own_lines(stderr)


def flags_for(digits_dir, log_dir, *flags):
    return ['--input_data_dir', digits_dir, '--log_dir', log_dir] + list(flags)


def variables(log_dir, checkpoint):
    """The bytes of all variables in a checkpoint."""
    reader = tf.train.NewCheckpointReader(os.path.join(str(log_dir), checkpoint))
    names = reader.get_variable_to_shape_map()
    assert len(names) == 7
    return {name: reader.get_tensor(name).tobytes() for name in names}


def curves(log_dir):
    """The scalars as TensorBoard sees them: a dict from tag to (step, value)."""
    events = event_accumulator.EventAccumulator(str(log_dir), {'scalars': 0}).Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()['scalars']
    }


def files_in(directory):
    """What all files of a directory hold, but for the lock, which is empty."""
    found = {}
    for folder, _, names in os.walk(str(directory)):
        for name in names:
            with open(os.path.join(folder, name), 'rb') as f:
                found[os.path.relpath(f.name, str(directory))] = f.read()
    return {name: found[name] for name in found if name != 'fully_connected_feed.lock'}
