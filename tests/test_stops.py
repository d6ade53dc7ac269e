"""Stopping and killing a run: a resumed one ends as an undisturbed one."""

import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest
import tensorflow.compat.v1 as tf

import input_data
from helpers import (
    PROGRAM,
    RECORD,
    ROOT,
    SAYS,
    assert_same_run,
    call,
    files_in,
    own_lines,
    resume,
    steps_saved,
)


def signal_after(process, line, signum):
    """Sends a signal once a line begins so; returns stdout's rest and own stderr."""
    for found in process.stdout:
        if found.startswith(line):
            process.send_signal(signum)
            stdout, stderr = process.communicate()
            return stdout, own_lines(stderr)
    pytest.fail('no line %r; stderr: %s' % (line, process.stderr.read()))


def test_run_killed_at_random_moments(start, flags, finished, tmp_path, rng):
    # How many lines to wait for, and how many seconds after them: before the record is
    # there; in training; in an evaluation; while a checkpoint is written; after it.
    moments = [(0, rng.uniform(0.5, 2)), (1, rng.uniform(0, 0.05)), (2, 0)]
    moments += [(7, rng.uniform(0, 0.01)), (rng.randint(8, 12), rng.uniform(0, 0.03))]
    for lines, seconds in moments:
        process = start('--resume', *flags(tmp_path))
        for _ in range(lines):
            process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        process.wait()
    status, stdout, _ = call('--resume', *flags(tmp_path))
    assert status == 0 and 'Step 0:' not in '\n'.join(stdout)
    assert_same_run(tmp_path, finished.log_dir)


@pytest.mark.parametrize(
    'name, status, way',
    [('SIGINT', 130, 'file'), ('SIGTERM', 143, 'module'), ('SIGHUP', 129, 'installed')],
)
def test_signal_saves_and_the_command_that_is_told_goes_on(
    start, flags, finished, tmp_path, name, status, way
):
    installed = tmp_path / 'fully_connected_feed'
    code = 'from fully_connected_feed import main\nmain()\n'
    installed.write_text('#!%s\n%s' % (sys.executable, code))
    installed.chmod(0o755)
    typed = {
        'file': [sys.executable, os.path.join('..', 'fully_connected_feed.py')],
        'module': [sys.executable, '-m', 'fully_connected_feed'],
        'installed': [str(installed)],
    }[way]
    place = dict(cwd=os.path.join(ROOT, 'tests'), env=dict(os.environ, PYTHONPATH=ROOT))
    log_dir = tmp_path / "user's log"
    changed = flags(log_dir, '--max_steps=100000', '--eval_steps=100000')
    process = start(*changed, command=typed, **place)
    _, lines = signal_after(process, 'Step 100:', getattr(signal, name))
    assert process.returncode == status
    (step,) = steps_saved(log_dir)
    words = sys.executable, PROGRAM, '--resume', '--log_dir', str(log_dir)
    told = ' '.join(map(shlex.quote, words))
    stopped = 'stopped by %s at step %d; to go on: %s' % (name, step + 1, told)
    assert lines == [SAYS + stopped]
    told += ' --max_steps=950 --eval_steps=100'
    subprocess.check_output(told, shell=True)
    assert_same_run(log_dir, finished.log_dir, evaluated_from=step + 1)


@pytest.mark.parametrize('number', [2, 3, 3])
def test_no_later_signal_breaks_the_save(start, flags, finished, tmp_path, rng, number):
    process = start(*flags(tmp_path, '--max_steps=100000'))
    for _ in range(rng.choice([1, 2, 9])):  # in training or in an evaluation
        process.stdout.readline()
    names = [rng.choice(['SIGINT', 'SIGTERM', 'SIGHUP']) for _ in range(number)]
    for name in names:
        process.send_signal(getattr(signal, name))
        time.sleep(rng.uniform(0.005, 0.1))
    (line,) = own_lines(process.communicate()[1])
    # The first that was seen, which on a busy machine need not be the first sent.
    (name,) = re.findall(r'stopped by (SIG\w+) at step', line)
    assert name in names and process.returncode == 128 + getattr(signal, name)
    assert resume(tmp_path, '--max_steps=950')[0] == 0
    assert_same_run(tmp_path, finished.log_dir)


FULL = """
import os
class Full(type(sys.stdout)):
    def write(self, text):
        if text.startswith(%r):
            os.dup2(os.open('/dev/full', os.O_WRONLY), 1)
        return super().write(text)
sys.stdout = Full(sys.stdout.detach())
f.main(%r)
"""
BOMBARDED = """
import signal, sys
signal.signal(signal.SIGUSR1, lambda *args: None)
sys.path.insert(0, %r)
import fully_connected_feed
fully_connected_feed.main(%r)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # Python's exit sets handlers back
"""


def test_thousands_of_signals_during_matrix_products_corrupt_nothing(
    start, flags, finished, tmp_path
):
    """oneDNN's keep the stack pointer in the heap while they run."""
    code = BOMBARDED % (ROOT, flags(tmp_path))
    process = start(command=(sys.executable, '-c', code), stdout=subprocess.DEVNULL)
    while not os.path.exists(str(tmp_path / RECORD)):  # the loop comes next
        assert process.poll() is None
    sent = 0
    while process.poll() is None:
        process.send_signal(signal.SIGUSR1)
        sent += 1
        time.sleep(1e-5)
    assert (process.returncode, own_lines(process.stderr.read())) == (0, [])
    assert sent > 2000
    assert_same_run(tmp_path, finished.log_dir)


@pytest.mark.parametrize('more', [['--seed=6'], ['--resume']])
def test_stop_before_the_first_step_leaves_the_directory_as_it_was(
    copied, flags, finished, monkeypatch, more
):
    def stop(*args):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(input_data.DataSet, 'skip', stop)  # after the weights
    status, stdout, lines = call(*flags(copied, *more))
    assert (status, stdout) == (130, [])
    step = 950 if more == ['--resume'] else 0
    assert lines[-1].startswith(SAYS + 'stopped by SIGINT at step %d' % step)
    assert ('to go on' in lines[-1]) == (step > 0)
    assert files_in(copied) == files_in(finished.log_dir)


def test_nohup_is_heeded(start, flags, tmp_path):
    command = 'nohup', sys.executable, PROGRAM
    process = start(*flags(tmp_path, '--max_steps=101'), command=command)
    _, lines = signal_after(process, 'Step 0:', signal.SIGHUP)
    assert process.returncode == 0 and 'SIGHUP' not in ''.join(lines)
    assert steps_saved(tmp_path) == [99, 100]


def test_pipe_whose_reader_leaves_stops_a_run(start, flags, finished, tmp_path):
    process = start(*flags(tmp_path))
    assert process.stdout.readline().startswith('Step 0:')
    process.stdout.close()
    (line,) = own_lines(process.stderr.read())
    assert process.wait() == 1
    assert 'stopped by [Errno 32] Broken pipe at step' in line and '--resume' in line
    assert resume(tmp_path)[0] == 0
    assert_same_run(tmp_path, finished.log_dir)


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='there is no /dev/full')
@pytest.mark.parametrize('line', ['Step 0:', 'Step 800', 'Training Data Eval:'])
def test_output_on_a_full_disk_stops_a_run(
    start, flags, finished, tmp_path, monkeypatch, line
):
    """Nothing of the curves is lost either. Here it fills up at a line."""
    code = 'import sys, fully_connected_feed as f\n' + FULL % (line, flags(tmp_path))
    process = start(command=(sys.executable, '-c', code), cwd=ROOT)
    stderr = process.communicate()[1]
    (told,) = own_lines(stderr)
    assert process.returncode == 1
    assert 'stopped by [Errno 28] No space left on device at step' in told
    assert resume(tmp_path)[0] == 0
    assert_same_run(tmp_path, finished.log_dir)


@pytest.mark.parametrize('line', ['Step 100:', 'Test Data Eval:'])
def test_closed_terminal_stops_a_run(start, flags, finished, tmp_path, line):
    parent, terminal = pty.openpty()
    # The leader of a session that opens a terminal is hung up with it.
    shell = 'sh', '-c', 'exec "$@" <>"$0" >&0 2>&0', os.ttyname(terminal)
    command = *shell, sys.executable, PROGRAM
    process = start(*flags(tmp_path), command=command, start_new_session=True)
    seen = b''
    while line.encode() not in seen:
        seen += os.read(parent, 1000)
    os.close(terminal)
    os.close(parent)
    assert process.wait() in (1, 129)  # whichever is noticed first
    assert resume(tmp_path)[0] == 0
    assert_same_run(tmp_path, finished.log_dir)


SLOW = '--max_steps=120', '--eval_steps=60', '--batch_size=1'


@pytest.fixture(scope='module')
def slow(tmp_path_factory, flags):
    """The log directory of a run whose two evaluations take half a second or more."""
    log_dir = str(tmp_path_factory.mktemp('slow'))
    assert call(*flags(log_dir, *SLOW))[::2] == (0, [])
    return log_dir


@pytest.mark.parametrize('steps, stops', [(60, [[], ['--resume']]), (120, [[]])])
def test_evaluation_that_is_stopped_is_done_again(
    start, flags, slow, tmp_path, steps, stops
):
    for more in stops:
        process = start(*flags(tmp_path, *SLOW), *more)
        if steps == 120:
            while not process.stdout.readline().startswith('Step 100:'):
                pass
        stdout, lines = signal_after(process, 'Training Data Eval:', signal.SIGINT)
        assert process.returncode == 130 and 'Test Data Eval:' not in stdout
        assert 'stopped by SIGINT at step %d; to go on:' % steps in lines[-1]
        assert steps_saved(tmp_path)[-1] == steps - 1
    assert resume(tmp_path)[0] == 0
    assert_same_run(tmp_path, slow, last=119)


def test_evaluation_of_a_finished_run_can_be_stopped(start, slow, tmp_path):
    log_dir = shutil.copytree(slow, str(tmp_path / 'log'))
    process = start('--resume', '--log_dir', log_dir)
    stdout, lines = signal_after(process, 'Training Data Eval:', signal.SIGTERM)
    assert process.returncode == 143 and 'Test Data Eval:' not in stdout
    going_on, stopped = lines
    assert 'stopped by SIGTERM at step 120; to go on:' in stopped


def test_kill_in_an_evaluation_loses_nothing(start, flags, slow, tmp_path):
    """Its checkpoint is written, and so is the evaluation before."""
    process = start(*flags(tmp_path, *SLOW))
    while not process.stdout.readline().startswith('Test Data Eval:'):
        pass
    signal_after(process, 'Training Data Eval:', signal.SIGKILL)
    assert steps_saved(tmp_path) == [59, 119]
    assert resume(tmp_path)[0] == 0
    assert_same_run(tmp_path, slow, last=119)


@pytest.fixture
def interrupted_step(monkeypatch):
    """Sends SIGINT in the middle of the first step."""
    next_batch = input_data.DataSet.next_batch

    def stop(*args):
        os.kill(os.getpid(), signal.SIGINT)
        return next_batch(*args)

    monkeypatch.setattr(input_data.DataSet, 'next_batch', stop)


def test_stop_saves_no_weights_that_are_not_finite(flags, tmp_path, interrupted_step):
    status, _, lines = call(*flags(tmp_path, '--learning_rate=3e38'))
    assert status == 1 and 'step 0: the loss diverges' in lines[-1]
    assert steps_saved(tmp_path) == []


def test_of_two_signals_the_first_counts(
    flags, tmp_path, monkeypatch, interrupted_step
):
    save = tf.train.Saver.save

    def save_in_spite_of_another(*args, **options):
        os.kill(os.getpid(), signal.SIGTERM)
        return save(*args, **options)

    monkeypatch.setattr(tf.train.Saver, 'save', save_in_spite_of_another)
    status, _, lines = call(*flags(tmp_path))
    assert status == 130 and 'stopped by SIGINT at step 1;' in lines[-1]
    assert steps_saved(tmp_path) == [0]


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='there is no /dev/full')
def test_stop_that_cannot_be_told_has_its_status(start, flags, tmp_path):
    with open('/dev/full', 'w') as full:
        process = start(*flags(tmp_path), stderr=full)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.stdout.read()
    assert process.wait() == 130 and steps_saved(tmp_path)


def test_interrupted_while_it_imports(start, tmp_path):
    (tmp_path / 'filelock.py').write_text('raise KeyboardInterrupt')
    process = start(env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    stderr = process.communicate()[1]
    assert (process.returncode, own_lines(stderr)) == (130, [SAYS + 'interrupted'])
