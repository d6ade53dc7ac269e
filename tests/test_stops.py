"""Stopping and killing a run: a resumed one ends as an undisturbed one."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time

import pytest

import fully_connected_feed
from helpers import (
    GOING_ON,
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

STDOUT = """
import os, sys
class Stdout(type(sys.stdout)):
    times = 0
    def write(self, text):
        self.times += text.startswith({line!r})
        if self.times == {time}:
            {action}
        return super().write(text)
sys.stdout = Stdout(sys.stdout.detach())
"""
KILL = 'os.kill(os.getpid(), %d)'
FULL = "os.dup2(os.open('/dev/full', os.O_WRONLY), %d)"


@pytest.fixture
def stopped(run, tmp_path_factory):
    """Returns a function that does what run() does until something happens."""

    def stopped(*flags, line, action, time=1, path=(), **options):
        """Has code run when a line is to be printed for the first, or another, time."""
        site = tmp_path_factory.mktemp('site')
        code = STDOUT.format(line=line, action=action, time=time)
        (site / 'sitecustomize.py').write_text(code)
        path = os.pathsep.join([str(site), *path])
        return run(*flags, env=dict(os.environ, PYTHONPATH=path), **options)

    return stopped


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


INTERRUPTED = 'interrupted; the same command with --resume goes on from step %d'


@pytest.mark.parametrize('way', ['file', 'module', 'installed'])
def test_ctrl_c_ends_in_one_line_and_the_same_command_goes_on(
    stopped, run, flags, finished, tmp_path, way
):
    installed = tmp_path / 'fully_connected_feed'
    code = 'from fully_connected_feed import main\nmain()\n'
    installed.write_text('#!%s\n%s' % (sys.executable, code))
    installed.chmod(0o755)
    typed = {
        'file': [sys.executable, os.path.join('..', 'fully_connected_feed.py')],
        'module': [sys.executable, '-m', 'fully_connected_feed'],
        'installed': [sys.executable, str(installed)],
    }[way]
    place = dict(cwd=os.path.join(ROOT, 'tests'), command=typed)
    typed += flags(tmp_path / 'log')
    action = KILL % signal.SIGINT
    ctrl_c = stopped(line='Step 300:', action=action, path=[ROOT], **place)
    assert ctrl_c[::2] == (130, [SAYS + INTERRUPTED % 300])
    assert steps_saved(tmp_path / 'log') == [99, 199, 299]
    resumed = run('--resume', env=dict(os.environ, PYTHONPATH=ROOT), **place)
    assert resumed[::2] == (0, [GOING_ON % (300, 950)])
    assert_same_run(tmp_path / 'log', finished.log_dir)


@pytest.mark.parametrize('number', [2, 3, 4, 4])
def test_impatient_ctrl_c_ends_in_one_line_too(
    start, flags, finished, tmp_path, rng, number
):
    process = start(*flags(tmp_path, '--max_steps=100000'))
    for _ in range(rng.choice([1, 2, 9])):  # in training or in an evaluation
        process.stdout.readline()
    for _ in range(number):
        process.send_signal(signal.SIGINT)
        time.sleep(rng.uniform(0.001, 0.1))
    lines = own_lines(process.communicate()[1])
    if process.returncode == 130 or lines:  # else a later one came before the line
        (line,) = lines
        assert line.startswith(SAYS + 'interrupted')
    assert process.returncode in (130, -signal.SIGINT)
    assert resume(tmp_path, '--max_steps=950')[0] == 0
    assert_same_run(tmp_path, finished.log_dir)


def test_later_ctrl_c_disturbs_nothing(monkeypatch):
    done = []

    def interrupted():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

    def run():
        try:
            interrupted()
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
            done.append(True)

    monkeypatch.setattr(fully_connected_feed, 'run_training', run)
    assert call('--fake_data') == (130, [], [SAYS + 'interrupted'])
    assert done == [True]


@pytest.mark.parametrize('signum', [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize('line', ['Step 300:', 'Training Data Eval:'])
def test_other_signals_end_a_run_as_any_program(
    stopped, flags, finished, tmp_path, signum, line
):
    result = stopped(*flags(tmp_path), line=line, action=KILL % signum)
    assert result[::2] == (-signum, [])
    assert call('--resume', *flags(tmp_path))[0] == 0
    assert_same_run(tmp_path, finished.log_dir)


STACK = """
import ctypes, sys
sys.path.insert(0, %r)
import fully_connected_feed
fully_connected_feed.main(%r)
stack = (ctypes.c_void_p * 3)()  # where, flags, size
ctypes.CDLL(None).sigaltstack(None, stack)
sys.exit(0 if stack[2] else 'there is none')
"""
BOMBARDED = """
import signal, sys
signal.signal(signal.SIGUSR1, lambda *args: None)
sys.path.insert(0, %r)
import fully_connected_feed
fully_connected_feed.main(%r)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # Python's exit sets handlers back
"""


@pytest.mark.skipif(
    sys.version_info < (3, 10) or sys.platform != 'linux',
    reason='faulthandler makes no stack for signals here',
)
def test_signals_have_a_stack_of_their_own(start, flags, tmp_path):
    """Without it, the next test fails on processors with AVX-512."""
    changed = flags(tmp_path, '--max_steps=1')
    process = start(command=(sys.executable, '-c', STACK % (ROOT, changed)))
    process.communicate()
    assert process.returncode == 0


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
    def stop(checksum):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(fully_connected_feed, 'prepare_log_dir', stop)
    status, stdout, lines = call(*flags(copied, *more))
    assert (status, stdout) == (130, [])
    told = INTERRUPTED % 950 if more == ['--resume'] else 'interrupted'
    assert lines[-1] == SAYS + told
    assert files_in(copied) == files_in(finished.log_dir)


def test_nohup_is_heeded(stopped, flags, tmp_path):
    typed = ['nohup', sys.executable, PROGRAM, *flags(tmp_path, '--max_steps=101')]
    status, stdout, _ = stopped(
        command=typed, line='Step 0:', action=KILL % signal.SIGHUP
    )
    assert status == 0 and any(line.startswith('Step 100:') for line in stdout)
    assert steps_saved(tmp_path) == [99, 100]


def test_pipe_whose_reader_leaves_stops_a_run(start, flags, finished, tmp_path):
    process = start(*flags(tmp_path))
    assert process.stdout.readline().startswith('Step 0:')
    process.stdout.close()
    lines = own_lines(process.stderr.read())
    assert (process.wait(), lines) == (1, [SAYS + '[Errno 32] Broken pipe'])
    assert resume(tmp_path)[0] == 0
    assert_same_run(tmp_path, finished.log_dir)


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='there is no /dev/full')
@pytest.mark.parametrize('line', ['Step 0:', 'Step 800', 'Training Data Eval:'])
def test_output_on_a_full_disk_stops_a_run(stopped, flags, finished, tmp_path, line):
    """Nothing of the curves is lost either. Here it fills up at a line."""
    result = stopped(*flags(tmp_path), line=line, action=FULL % 1)
    assert result[::2] == (1, [SAYS + '[Errno 28] No space left on device'])
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
    assert process.wait() in (1, -signal.SIGHUP)  # whichever is noticed first
    assert resume(tmp_path)[0] == 0
    assert_same_run(tmp_path, finished.log_dir)


@pytest.mark.parametrize('signum', [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize('time, last', [(1, 99), (10, 949)])
def test_evaluation_that_is_stopped_is_done_again(
    stopped, flags, finished, tmp_path, signum, time, last
):
    options = dict(line='Test Data Eval:', time=time, action=KILL % signum)
    status, stdout, _ = stopped(*flags(tmp_path), **options)
    assert status == (130 if signum == signal.SIGINT else -signum)
    assert stdout.count('Test Data Eval:') == time - 1
    assert steps_saved(tmp_path)[-1] == last
    assert resume(tmp_path)[0] == 0
    assert_same_run(tmp_path, finished.log_dir)


@pytest.mark.skipif(sys.platform != 'linux', reason='a pipe has a fixed size here')
def test_run_whose_output_nobody_reads_can_be_stopped(start, flags, tmp_path):
    process = start(*flags(tmp_path, '--max_steps=100000', '--eval_steps=10'))
    fcntl.fcntl(process.stdout, 1031, 4096)  # F_SETPIPE_SZ
    before, waiting = -1, 0
    while not 0 < waiting == before:  # until the pipe is full
        time.sleep(2)
        before, waiting = waiting, bytes_in(process.stdout)
    process.send_signal(signal.SIGINT)
    while not process.stderr.readline().startswith(SAYS + 'interrupted'):
        pass
    process.send_signal(signal.SIGINT)  # in vain it waits for a reader at its end
    assert own_lines(process.stderr.read()) == []
    assert process.wait() in (130, -signal.SIGINT)


def bytes_in(pipe):
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='there is no /dev/full')
def test_stop_that_cannot_be_told_has_its_status(stopped, flags, tmp_path):
    action = FULL % 2 + '; ' + KILL % signal.SIGINT
    result = stopped(*flags(tmp_path), line='Step 100:', action=action)
    assert result[::2] == (130, [])
