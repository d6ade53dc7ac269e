"""Stopping, killing and resuming a run, and what becomes of its log directory."""

import json
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

from helpers import (
    PROGRAM,
    RECORD,
    ROOT,
    assert_one_line,
    call,
    curves,
    files_in,
    own_lines,
    read,
    resume,
    steps_saved,
    variables,
    without_rights,
)

LAST = 949  # the last step of the runs that the fixture flags describes
SAYS = 'fully_connected_feed: '


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished run's log directory."""
    return shutil.copytree(finished.log_dir, str(tmp_path / 'log'))


def assert_same_run(log_dir, whole, evaluated_from=0, last=LAST):
    """The weights are the same bit for bit, and both show the same clean curves."""
    assert variables(log_dir, last) == variables(whole, last)
    expected = curves(whole)
    for tag in set(expected) - {'loss'}:
        expected[tag] = [point for point in expected[tag] if point[0] >= evaluated_from]
    assert curves(log_dir) == expected


def record_of(log_dir):
    return json.loads(read(log_dir, RECORD))


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
    'name, status, way, path_variable',
    [
        ('SIGINT', 130, 'file', os.path.dirname(sys.executable)),
        ('SIGTERM', 143, 'module', ''),
        ('SIGHUP', 129, 'installed', ''),
    ],
)
def test_signal_saves_and_the_command_that_is_told_goes_on(
    start, flags, finished, tmp_path, name, status, way, path_variable
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
    told = ' '.join(typed)
    if shutil.which('python', path=path_variable) == sys.executable:
        told = told.replace(sys.executable, 'python')
    environment = dict(os.environ, PATH=path_variable, PYTHONPATH=ROOT)
    place = dict(cwd=os.path.join(ROOT, 'tests'), env=environment)
    log_dir = tmp_path / "user's log"
    changed = flags(log_dir, '--max_steps=100000', '--eval_steps=100000')
    process = start(*changed, command=typed, **place)
    _, lines = signal_after(process, 'Step 100:', getattr(signal, name))
    assert process.returncode == status
    (step,) = steps_saved(log_dir)
    told += ' --resume --log_dir ' + shlex.quote(str(log_dir))
    stopped = 'stopped by %s after step %d; to go on: %s' % (name, step, told)
    assert lines == [SAYS + name + ': saving the weights', SAYS + stopped]
    told += ' --max_steps=950 --eval_steps=100'
    subprocess.check_output(told, shell=True, **place)
    assert_same_run(log_dir, finished.log_dir, evaluated_from=step)


@pytest.mark.parametrize('number', [2, 3, 3])
def test_no_later_signal_breaks_the_save(start, flags, finished, tmp_path, rng, number):
    process = start(*flags(tmp_path, '--max_steps=100000'))
    for _ in range(rng.choice([1, 2, 9])):  # in training or in an evaluation
        process.stdout.readline()
    names = [rng.choice(['SIGINT', 'SIGTERM', 'SIGHUP']) for _ in range(number)]
    for name in names:
        process.send_signal(getattr(signal, name))
        time.sleep(rng.uniform(0.005, 0.1))
    first, last = own_lines(process.communicate()[1])
    # The first that was seen, which on a busy machine need not be the first sent.
    (name,) = re.findall(r'(SIG\w+): saving the weights', first)
    assert name in names and 'stopped by %s after' % name in last
    assert process.returncode == 128 + getattr(signal, name)
    assert resume(tmp_path, '--max_steps=950')[::2] == (0, [])
    assert_same_run(tmp_path, finished.log_dir)


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
    first, last = own_lines(process.stderr.read())
    assert process.wait() == 141
    assert 'SIGPIPE: saving' in first and 'stopped by SIGPIPE after step' in last
    assert resume(tmp_path)[::2] == (0, [])
    assert_same_run(tmp_path, finished.log_dir)


@pytest.mark.parametrize(
    'line, trap, status',
    [('Step 100:', '-', 129), ('Test Data Eval:', '-', 129), ('Step 0:', '""', 0)],
)
def test_closed_terminal_stops_a_run_that_heeds_it(
    start, flags, finished, tmp_path, line, trap, status
):
    parent, terminal = pty.openpty()
    # The leader of a session that opens a terminal is hung up with it.
    code = 'trap %s HUP; exec "$@" <>"$0" >&0 2>&0' % trap
    shell = 'sh', '-c', code, os.ttyname(terminal)
    command = *shell, sys.executable, PROGRAM
    process = start(*flags(tmp_path), command=command, start_new_session=True)
    seen = b''
    while line.encode() not in seen:
        seen += os.read(parent, 1000)
    os.close(terminal)
    os.close(parent)
    assert process.wait() == status
    if status:
        assert resume(tmp_path)[::2] == (0, [])
    assert_same_run(tmp_path, finished.log_dir)


SLOW = '--max_steps=120', '--eval_steps=60', '--batch_size=1'


@pytest.fixture(scope='module')
def slow(tmp_path_factory, flags):
    """The log directory of a run whose two evaluations take half a second or more."""
    log_dir = str(tmp_path_factory.mktemp('slow'))
    assert call(*flags(log_dir, *SLOW))[::2] == (0, [])
    return log_dir


@pytest.mark.parametrize('step, stops', [(59, [[], ['--resume']]), (119, [[]])])
def test_evaluation_that_is_stopped_is_made_up_for_once(
    start, flags, slow, tmp_path, step, stops
):
    for more in stops:
        process = start(*flags(tmp_path, *SLOW), *more)
        if step == 119:
            while not process.stdout.readline().startswith('Step 100:'):
                pass
        stdout, lines = signal_after(process, 'Training Data Eval:', signal.SIGINT)
        assert process.returncode == 130 and 'Test Data Eval:' not in stdout
        assert 'stopped by SIGINT after step %d; to go on:' % step in lines[1]
        assert record_of(tmp_path)['unevaluated'] == step + 1
    assert resume(tmp_path)[::2] == (0, [])
    assert record_of(tmp_path)['unevaluated'] == 0
    assert_same_run(tmp_path, slow, last=119)


def test_evaluation_of_a_finished_run_can_be_stopped(start, slow):
    before = files_in(slow)
    process = start('--resume', '--log_dir', slow)
    stdout, lines = signal_after(process, 'Training Data Eval:', signal.SIGTERM)
    assert process.returncode == 143 and 'Test Data Eval:' not in stdout
    assert len(lines) == 3 and files_in(slow) == before  # 'nothing left' comes first


@pytest.mark.skipif(
    not tf.__version__.startswith('2.21'),
    reason='older TensorFlow swallows an interrupt of its import at times',
)
def test_interrupted_while_tensorflow_is_imported(start, flags, tmp_path):
    for seconds in 0.5, 0.7, 0.9, 1.5:  # a slow machine may not have begun with it
        process = start(*flags(tmp_path))
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        if own_lines(process.communicate()[1])[-1:] == [SAYS + 'interrupted']:
            assert process.returncode == 130
            return
    pytest.fail('no run was interrupted')


@pytest.mark.parametrize(
    'damage, suffix',
    [(damage, 'index') for damage in ('halved', 'flipped', 'emptied')]
    + [(damage, 'data-00000-of-00001') for damage in ('halved', 'flipped', 'removed')],
)
def test_damaged_checkpoint_gives_way_to_the_one_before(
    copied, finished, damage, suffix
):
    path = os.path.join(copied, 'model.ckpt-949.' + suffix)
    with open(path, 'rb+') as f:
        content = bytearray(f.read())
        content[len(content) // 2] ^= 0x40
        f.seek(0)
        f.write(content)
        f.truncate({'halved': len(content) // 2, 'emptied': 0}.get(damage))
    if damage == 'removed':
        os.remove(path)
    status, stdout, (line,) = resume(copied)
    assert status == 0 and stdout[0].startswith('Step 900:')
    assert os.path.join(copied, 'model.ckpt-949 cannot be restored') in line
    assert_same_run(copied, finished.log_dir)


NOTHING_LEFT = SAYS + 'nothing left to train: %d steps are done'


@pytest.mark.parametrize('more', [[], ['--max_steps=50']])
def test_resume_of_a_finished_run_only_evaluates(copied, finished, more):
    def written():
        entries = [entry for entry in os.scandir(copied) if entry.name in files]
        return {entry.name: entry.stat().st_mtime_ns for entry in entries}

    files = files_in(copied)
    before = written()
    told = [NOTHING_LEFT % 950]
    assert resume(copied, *more) == (0, finished.lines[-6:], told)
    assert files_in(copied) == files and written() == before


def test_finished_run_that_may_only_be_read_is_evaluated(copied, finished, digits_dir):
    os.chmod(copied, 0o555)
    with without_rights(copied, digits_dir):
        assert resume(copied) == (0, finished.lines[-6:], [NOTHING_LEFT % 950])
    assert files_in(copied) == files_in(finished.log_dir)


def test_resume_takes_recorded_flags_and_more_steps(flags, finished, tmp_path):
    status, _, lines = call('--resume', *flags(tmp_path, '--max_steps=450'))
    nothing = SAYS + 'no checkpoint in %s; starting at step 0' % tmp_path
    assert (status, lines) == (0, [nothing])
    assert resume(tmp_path, '--max_steps=950')[::2] == (0, [])
    assert variables(tmp_path, LAST) == variables(finished.log_dir, LAST)
    assert curves(tmp_path)['loss'] == curves(finished.log_dir)['loss']
    # The newest five are left: the earlier ones were removed as the run went on.
    assert steps_saved(tmp_path) == [599, 699, 799, 899, 949]
    assert record_of(tmp_path) == record_of(finished.log_dir)


@pytest.mark.parametrize('batch_size', [3, 1001, 2000])
def test_batches_go_on_where_they_were(flags, tmp_path, batch_size):
    for name, ends in ('whole', [5]), ('parts', [3, 4, 5]):
        for end in ends:
            changed = '--batch_size=%d' % batch_size, '--max_steps=%d' % end
            assert call('--resume', *flags(tmp_path / name, *changed))[0] == 0
    assert variables(tmp_path / 'whole', 4) == variables(tmp_path / 'parts', 4)
    # Runs of the same second have event files of their own.
    evaluated = curves(tmp_path / 'parts')['precision/test']
    assert [step for step, _ in evaluated] == [2, 3, 4]


def test_other_flags_may_change(copied):
    changed = '--learning_rate=0.5', '--eval_steps=50', '--max_steps=1100'
    assert resume(copied, *changed)[::2] == (0, [])
    assert steps_saved(copied) == [899, 949, 999, 1049, 1099]
    losses = dict(curves(copied)['loss'])
    assert len(losses) == 11 and losses[1000] < losses[0]
    record = record_of(copied)
    assert (record['learning_rate'], record['eval_steps']) == (0.5, 50)


@pytest.mark.parametrize(
    'changed, contradiction',
    [
        ('--hidden1=64', '--hidden1 64 contradicts 128'),
        ('--hidden2=16', '--hidden2 16 contradicts 32'),
        ('--batch_size=50', '--batch_size 50 contradicts 70'),
        ('--seed=6', '--seed 6 contradicts 5'),
        ('--fake_data', '--fake_data True contradicts False'),
    ],
)
def test_contradiction_names_both_values(copied, finished, changed, contradiction):
    assert_one_line(resume(copied, changed), 2, contradiction)
    assert files_in(copied) == files_in(finished.log_dir)


DAMAGED = '%s is damaged; delete it and give the flags of its run again' % RECORD


@pytest.mark.parametrize(
    'found, damaged, words',
    [
        ('(?s).+', '', DAMAGED),
        ('(?s).+', '3', DAMAGED),
        ('(?s).+', '{}', DAMAGED),
        ('(?s).+', '--max_steps=950\n', DAMAGED),
        ('(?s).{60}$', '', DAMAGED),
        ('"max_steps": 950', '"max_steps": -3', '--max_steps'),
        ('"eval_steps": 100', '"eval_steps": 0', '--eval_steps'),
        ('"seed": 5', '"seed": null', '--seed'),
        ('}', '}\n\n', None),  # blank lines do no damage
    ],
)
def test_damaged_record_is_named_and_what_the_message_advises_works(
    copied, flags, found, damaged, words
):
    path = os.path.join(copied, RECORD)
    text = re.sub(found, damaged, read(path))
    with open(path, 'w') as f:
        f.write(text)
    if words is None:
        assert resume(copied)[::2] == (0, [NOTHING_LEFT % 950])
    else:
        assert_one_line(resume(copied), 1 if words == DAMAGED else 2, words)
        assert read(path) == text
    os.remove(path)
    assert call(*flags(copied, '--max_steps=1001', '--resume'))[::2] == (0, [])
    assert steps_saved(copied)[-2:] == [999, 1000]


@pytest.mark.parametrize('name', ['two\nlines', 'latin-\udce9'])
def test_any_name_of_the_data_survives_the_record(flags, digits_dir, tmp_path, name):
    data, log_dir = str(tmp_path / name), str(tmp_path / 'log')
    os.symlink(digits_dir, data)
    changed = '--max_steps=2', '--input_data_dir', data
    assert call(*flags(log_dir, *changed))[::2] == (0, [])
    assert resume(log_dir, '--max_steps=3')[::2] == (0, [])
    assert record_of(log_dir)['input_data_dir'] == data


def test_seed_is_drawn_and_recorded(digits_dir, tmp_path):
    def first_step(name, *more):
        places = ['--input_data_dir', digits_dir, '--log_dir', str(tmp_path / name)]
        assert call('--max_steps=1', *places, *more)[0] == 0
        return str(record_of(tmp_path / name)['seed']), variables(tmp_path / name, 0)

    seed, weights = first_step('one')
    other_seed, other_weights = first_step('two')
    assert seed != other_seed and weights != other_weights
    assert first_step('three', '--seed', seed) == (seed, weights)


USERS = 'notes.txt model.ckpt-best.txt events.txt model.ckpt-5.index.bak old-checkpoint'
USERS += ' events.out.tfevents.1.other model.ckpt-7/checkpoint'
# What a run leaves that is killed while it writes.
LEFTOVERS = 'model.ckpt-7.data-00000-of-00001.tempstate123 checkpoint.tmp0a1b'
LEFTOVERS += ' model.ckpt-7.meta.tmp0a1b fully_connected_feed.flags.tmp'


def test_new_run_replaces_the_earlier_one_and_nothing_else(flags, copied):
    earlier = files_in(copied)
    os.mkdir(os.path.join(copied, 'model.ckpt-7'))
    for name in (USERS + ' ' + LEFTOVERS).split():
        with open(os.path.join(copied, name), 'w') as f:
            f.write(name)
    status, _, (line,) = call(*flags(copied, '--max_steps=2'))
    told = 'replacing the run of 950 steps in %s; --resume would have gone on' % copied
    assert (status, line) == (0, SAYS + told)
    now = files_in(copied)
    assert [now.pop(name).decode() for name in USERS.split()] == USERS.split()
    ends = 'data-00000-of-00001', 'index', 'meta'
    written = {'checkpoint', RECORD} | {'model.ckpt-1.' + end for end in ends}
    (events,) = set(now) - written
    assert events.startswith('events.out.tfevents.')
    assert now[events] != earlier.get(events)  # of the same name within a second
    assert set(now) == written | {events} and now[RECORD] != earlier[RECORD]


@pytest.mark.parametrize('removals', [0, 2, 5, 9])
def test_kill_while_a_new_run_replaces_the_earlier_one(
    copied, flags, finished, monkeypatch, removals
):
    remove, left = os.remove, list(range(removals))

    def end(path):
        if not left:
            raise OSError('killed')
        left.pop()
        remove(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, 'remove', end)
        assert call(*flags(copied))[0] == 1
    status, _, lines = resume(copied)
    assert status == 0 and 'cannot be restored' not in ' '.join(lines)
    assert_same_run(copied, finished.log_dir)


@pytest.mark.parametrize('more', [[], ['--resume']])
def test_checkpoints_of_another_program_are_kept(flags, tmp_path, more):
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.Variable(0, name='other')
        sess.run(tf.global_variables_initializer())
        tf.train.Saver().save(sess, str(tmp_path / 'model.ckpt'), global_step=9)
    before = files_in(tmp_path)
    status, stdout, lines = call(*flags(tmp_path, *more))
    words = 'has no checkpoint of this model' if more else 'or --resume if it is'
    place = '--log_dir %s h' % tmp_path
    assert_one_line((status, stdout, lines[-1:]), 1, place, words)
    assert files_in(tmp_path) == before


def test_checkpoint_of_tensorflow_1_3_is_evaluated_to_its_counts_and_resumed(
    reference_dir, mnist_dir, tmp_path
):
    checkpoint = os.path.join(reference_dir, 'checkpoint')
    log_dir = shutil.copytree(checkpoint, str(tmp_path / 'log'))
    os.chmod(log_dir, 0o755)
    data = '--input_data_dir', mnist_dir
    assert_one_line(
        resume(log_dir, *data, '--hidden1=64'), 1, '--hidden1 64', 'model.ckpt-1999'
    )
    status, stdout, lines = resume(log_dir, *data)
    assert (status, lines) == (0, [NOTHING_LEFT % 2000])
    expected = json.loads(read(reference_dir, 'evaluation.json'))
    for name, line in zip(('train', 'validation', 'test'), stdout[1::2]):
        counts = expected[name]['num_examples'], expected[name]['num_correct']
        assert line.startswith('  Num examples: %d  Num correct: %d ' % counts)
    status, stdout, lines = resume(log_dir, *data, '--max_steps=2010')
    assert (status, lines) == (0, []) and stdout[0].startswith('Step 2000:')
    assert steps_saved(log_dir) == [1999, 2009]


def test_second_run_in_a_directory_ends_until_the_first_is_gone(start, flags, tmp_path):
    changed = flags(tmp_path, '--max_steps=10000000', '--eval_steps=10000000')
    process = start(*changed)
    while not process.stdout.readline().startswith('Step 300:'):
        pass
    steps = [step for step, _ in curves(tmp_path)['loss']]
    assert steps[:3] == [0, 100, 200]  # TensorBoard shows a run that goes on
    words = '--log_dir %s: another run is writing there' % tmp_path
    assert_one_line(call(*flags(tmp_path)), 1, words)
    assert_one_line(resume(tmp_path), 1, words)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130  # long before the next checkpoint would be due
    assert call(*flags(tmp_path, '--max_steps=1'))[0] == 0
