"""What several tests share: the program as a user starts it, and what it leaves."""

import contextlib
import io
import os
import pathlib
import re
import sys
from unittest import mock

import fully_connected_feed
from fully_connected_feed import tf  # which sets TensorFlow's options before the import

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.path.join(ROOT, 'fully_connected_feed.py')


def own_lines(stderr):
    """The lines of stderr less those that TensorFlow, of any version, prints itself."""
    imports = re.compile(
        r'WARNING: All log messages before absl|[IWE]0000 |To enable the following'
        r'|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d'
    )
    return [line for line in stderr.splitlines() if not imports.match(line)]


def call(*flags):
    """Runs the program in this process and returns what the fixture run() does."""
    out, err = [
        io.TextIOWrapper(io.BytesIO(), 'utf-8', 'backslashreplace', write_through=True)
        for _ in range(2)
    ]
    status = 0
    argv = mock.patch.object(sys, 'argv', ['program'] + list(flags))
    with argv, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            fully_connected_feed.main()
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
    from tensorboard.backend.event_processing import event_accumulator

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


@contextlib.contextmanager
def without_rights(*folders):
    """Takes root's rights away for a block; the folders can still be reached."""
    user = os.geteuid()
    for folder in folders:
        for path in [pathlib.Path(folder)] + list(pathlib.Path(folder).parents):
            if path.stat().st_uid == user and 'pytest-' in str(path):
                os.chmod(str(path), path.stat().st_mode | 0o055)
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
