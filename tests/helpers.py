"""What several tests share: the program as a user starts it, and what it leaves."""

import contextlib
import io
import json
import os
import pathlib
import re
import sys
from unittest import mock

import fully_connected_feed
from fully_connected_feed import SESSION_CONFIG, tf
from idx_files import ROOT

# The first session of a process sets the threads, and so the rounding, of all of them.
tf.Session(config=SESSION_CONFIG).close()

PROGRAM = os.path.join(ROOT, 'fully_connected_feed.py')
RECORD = 'fully_connected_feed.flags'
SAYS = 'fully_connected_feed: '
GOING_ON = SAYS + 'going on from step %d of %d'
LAST = 949  # the last step of the runs that the fixture flags describes


def own_lines(stderr):
    """The lines of stderr less those that TensorFlow, of any version, prints itself."""
    imports = re.compile(
        r'WARNING: All log messages before absl|[IWE]0000 |To enable the following'
        r'|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d'
    )
    return [line for line in stderr.splitlines() if not imports.match(line)]


def call(*flags):
    """Runs the program in this process; returns its status, and its own lines."""
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


def resume(log_dir, *flags):
    return call('--resume', '--log_dir', str(log_dir), *flags)


def assert_one_line(result, status, *words):
    """Nothing was done, and one line that says why has all the words in it."""
    found, stdout, (line,) = result
    assert (found, stdout) == (status, [])
    assert [word for word in words if word not in line] == []


def read(*path):
    with open(os.path.join(*map(str, path)), encoding='utf-8') as f:
        return f.read()


def steps_saved(log_dir):
    """The steps that the checkpoints in a log directory are named for, in order."""
    found = re.findall(r'model\.ckpt-(\d+)\.index', ' '.join(os.listdir(str(log_dir))))
    return sorted(map(int, found))


def variables(log_dir, step):
    """The bytes of all variables in the checkpoint of a step."""
    path = os.path.join(str(log_dir), 'model.ckpt-%d' % step)
    reader = tf.train.NewCheckpointReader(path)
    names = reader.get_variable_to_shape_map()
    assert len(names) == 7 and reader.get_tensor('global_step') == step + 1
    return {name: reader.get_tensor(name).tobytes() for name in names}


def curves(log_dir):
    """The scalars as TensorBoard sees them: a dict from tag to (step, value)."""
    from tensorboard.backend.event_processing import event_accumulator

    events = event_accumulator.EventAccumulator(str(log_dir), {'scalars': 0}).Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()['scalars']
    }


def assert_same_run(log_dir, whole, evaluated_from=0, last=LAST):
    """The weights are the same bit for bit, and both show the same clean curves."""
    assert variables(log_dir, last) == variables(whole, last)
    expected = curves(whole)
    for tag in set(expected) - {'loss'}:
        expected[tag] = [point for point in expected[tag] if point[0] >= evaluated_from]
    assert curves(log_dir) == expected


def record_of(log_dir):
    return json.loads(read(log_dir, RECORD))


def files_in(directory):
    """What all files of a directory hold, but for the lock, which is empty."""
    paths = [path for path in pathlib.Path(str(directory)).rglob('*') if path.is_file()]
    return {
        str(path.relative_to(str(directory))): path.read_bytes()
        for path in paths
        if path.name != 'fully_connected_feed.lock'
    }


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
