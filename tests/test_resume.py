"""Stopping, killing and resuming a run, and its log directory."""

import json
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import time

import pytest

from helpers import (
    call,
    curves,
    files_in,
    flags_for,
    own_lines,
    tf,
    variables,
    without_rights,
)

SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
LAST = 'model.ckpt-999'
RECORD = 'fully_connected_feed.flags'
LEFT = 'fully_connected_feed: nothing left to train: %d steps are done'


@pytest.fixture
def copied(undisturbed, tmp_path):
    """A copy of the undisturbed run's log directory."""
    return shutil.copytree(undisturbed[1], str(tmp_path / 'log'))


def resume(log_dir, *flags):
    return call('--resume', '--log_dir', str(log_dir), *flags)


def assert_same_run(log_dir, undisturbed):
    """The weights are the same bit for bit, and both show the same clean curves."""
    assert variables(log_dir, LAST) == variables(undisturbed[1], LAST)
    expected = curves(undisturbed[1])
    assert [step for step, _ in expected['loss']] == list(range(0, 1000, 100))
    for name in 'train', 'validation', 'test':
        steps = [step for step, _ in expected['precision/' + name]]
        assert steps == list(range(99, 1000, 100))
    assert curves(log_dir) == expected


def record_of(log_dir):
    with open(os.path.join(str(log_dir), RECORD)) as f:
        return json.load(f)


def read_until(process, start_of_line):
    for line in process.stdout:
        if line.startswith(start_of_line):
            return
    pytest.fail('no line %r; stderr: %s' % (start_of_line, process.stderr.read()))


# Six samples: signals one by one, then two or three, 5 to 100 ms apart.
@pytest.mark.parametrize('number', range(6))
def test_signals_stop_a_run_that_goes_on_as_told(start, undisturbed, tmp_path, number):
    rng = random.Random(number)
    log_dir = str(tmp_path / "user's log")
    process = start(*undisturbed[0], '--max_steps=100000', '--log_dir', log_dir)
    read_until(process, 'Step %d:' % rng.choice([0, 100, 200]))
    signals = [SIGNALS[number % 3], *rng.sample(SIGNALS, number // 2)]
    for signum in signals:
        process.send_signal(signum)
        time.sleep(rng.uniform(0.005, 0.1))
    first, last = own_lines(process.communicate()[1])
    name = signals[0].name
    assert process.returncode == 128 + signals[0]
    assert first == 'fully_connected_feed: %s: saving the weights' % name
    words = r'fully_connected_feed: stopped by %s after step (\d+); to go on: (.+)'
    step, command = re.fullmatch(words % name, last).groups()
    assert 'model.ckpt-%s.index' % step in os.listdir(log_dir)
    subprocess.check_output(command + ' --max_steps=1000', shell=True)
    assert_same_run(log_dir, undisturbed)


def test_pipe_whose_reader_leaves_stops_a_run(start, undisturbed, tmp_path):
    process = start(*undisturbed[0], '--log_dir', tmp_path)
    read_until(process, 'Step 0:')
    process.stdout.close()
    first, last = own_lines(process.stderr.read())
    assert process.wait() == 141
    assert 'SIGPIPE: saving' in first and 'stopped by SIGPIPE after step' in last
    assert resume(tmp_path)[::2] == (0, [])
    assert_same_run(tmp_path, undisturbed)


@pytest.mark.parametrize('line', ['Step 100:', 'Test Data Eval:'])
def test_closed_terminal_stops_a_run(start, undisturbed, tmp_path, line):
    parent, terminal = pty.openpty()
    process = start(
        *undisturbed[0],
        *['--log_dir', tmp_path],
        # A session's leader that opens a terminal is hung up with it.
        before=['sh', '-c', 'exec "$@" <>"$0" >&0 2>&0', os.ttyname(terminal)],
        start_new_session=True,
    )
    seen = b''
    while line.encode() not in seen:
        seen += os.read(parent, 1000)
    os.close(terminal)
    os.close(parent)
    assert process.wait() == 129
    assert resume(tmp_path)[::2] == (0, [])
    assert_same_run(tmp_path, undisturbed)


def test_nohup_is_heeded(start, tmp_path):
    flags = '--fake_data', '--max_steps=200', '--log_dir', tmp_path
    process = start(*flags, before=['nohup'])
    read_until(process, 'Step 0:')
    process.send_signal(signal.SIGHUP)
    _, stderr = process.communicate()
    assert process.returncode == 0 and 'SIGHUP' not in stderr


@pytest.fixture(scope='module')
def slow(tmp_path_factory, digits_dir):
    """The flags and log directory of a run whose evaluations take a second or more."""
    flags = '--max_steps=120', '--eval_steps=60', '--seed=5', '--batch_size=1'
    log_dir = str(tmp_path_factory.mktemp('slow') / 'log')
    assert call(*flags_for(digits_dir, log_dir, *flags))[::2] == (0, [])
    return ['--input_data_dir', digits_dir, *flags], log_dir


@pytest.mark.parametrize('step', [59, 119])
def test_evaluation_that_is_stopped_twice_is_made_up_for_once(
    start, slow, tmp_path, step
):
    flags, log_dir = slow
    for extra, evaluations in (
        (['--log_dir'], step // 60 + 1),
        (['--resume', '--log_dir'], 1),
    ):
        process = start(*flags, *extra, tmp_path)
        for _ in range(evaluations):
            read_until(process, 'Training Data Eval:')
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate()
        assert process.returncode == 130 and 'Test Data Eval:' not in stdout
        last = own_lines(stderr)[-1]
        assert 'stopped by SIGINT after step %d; to go on:' % step in last
    assert resume(tmp_path)[::2] == (0, [])
    checkpoint = 'model.ckpt-119'
    assert variables(tmp_path, checkpoint) == variables(log_dir, checkpoint)
    assert curves(tmp_path) == curves(log_dir)


def test_evaluation_of_a_finished_run_can_be_stopped(start, slow):
    before = files_in(slow[1])
    process = start('--resume', '--log_dir', slow[1])
    read_until(process, 'Training Data Eval:')
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate()
    assert process.returncode == 143 and 'Test Data Eval:' not in stdout
    assert len(own_lines(stderr)) == 3  # nothing left, SIGTERM, stopped
    assert files_in(slow[1]) == before


@pytest.mark.skipif(
    not tf.__version__.startswith('2.21'),
    reason='older TensorFlow swallows it at times',
)
def test_interrupted_while_tensorflow_is_imported(start, tmp_path):
    ends = []
    for seconds in 0.5, 0.7, 0.9:  # a slow machine may not have begun with it
        process = start('--fake_data', '--log_dir', tmp_path / 'log')
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        ends.append((own_lines(process.communicate()[1])[-1:], process.returncode))
    assert (['fully_connected_feed: interrupted'], 130) in ends


def test_killed_at_random_moments(start, undisturbed, tmp_path):
    flags = [*undisturbed[0], '--resume', '--log_dir', str(tmp_path)]
    rng = random.Random()
    # How many lines to wait for, and how many seconds after them: before the record is
    # there; in training; at the start of an evaluation; while a checkpoint is written.
    moments = [(0, rng.uniform(0.5, 2)), (1, rng.uniform(0, 0.05)), (2, 0)]
    moments += [(7, rng.uniform(0, 0.01)), (rng.randint(8, 12), rng.uniform(0, 0.03))]
    print('lines and seconds:', moments)  # shown if it fails
    for lines, seconds in moments:
        process = start(*flags)
        for _ in range(lines):
            process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        process.wait()
    status, stdout, _ = call(*flags)
    assert status == 0 and 'Step 0:' not in '\n'.join(stdout)
    assert_same_run(tmp_path, undisturbed)


@pytest.mark.parametrize(
    'suffix, size, flipped',
    [
        ('data-00000-of-00001', 0.5, 0),
        ('data-00000-of-00001', 1, 0x40),
        ('data-00000-of-00001', None, 0),  # removed
        ('index', 1, 0x40),
        ('index', 0, 0),
    ],
)
def test_damaged_checkpoint_gives_way_to_the_one_before(
    copied, undisturbed, suffix, size, flipped
):
    path = os.path.join(copied, LAST + '.' + suffix)
    with open(path, 'rb') as f:
        content = bytearray(f.read())
    content[len(content) // 2] ^= flipped
    os.remove(path)
    if size is not None:
        with open(path, 'wb') as f:
            f.write(content[: int(size * len(content))])
    status, stdout, (line,) = resume(copied)
    assert status == 0 and stdout[0].startswith('Step 900:')
    assert os.path.join(copied, LAST) + ' cannot be restored' in line
    assert_same_run(copied, undisturbed)


def test_resume_with_nothing_there_starts_at_step_0(undisturbed, tmp_path):
    log_dir = str(tmp_path / 'new')
    status, stdout, (line,) = resume(log_dir, *undisturbed[0])
    assert status == 0 and stdout[0].startswith('Step 0:')
    assert line.endswith('no checkpoint in %s; starting at step 0' % log_dir)
    assert_same_run(log_dir, undisturbed)


@pytest.mark.parametrize('flags', [[], ['--max_steps=50']])
def test_resume_of_a_finished_run_only_evaluates(copied, digits_dir, flags):
    os.chmod(copied, 0o555)
    before = files_in(copied)
    with without_rights(copied, digits_dir):
        status, stdout, stderr = resume(copied, *flags)
    assert (status, stderr) == (0, [LEFT % 1000])
    assert [line.split()[0] for line in stdout[::2]] == [
        'Training',
        'Validation',
        'Test',
    ]
    for line, tag in zip(stdout[1::2], ('train', 'validation', 'test')):
        precision = curves(copied)['precision/' + tag][-1][1]
        assert line.endswith('Precision @ 1: %0.04f' % precision)
    assert files_in(copied) == before


def test_resume_takes_recorded_flags_and_more_steps(undisturbed, digits_dir, tmp_path):
    flags = [*undisturbed[0], '--log_dir', str(tmp_path)]
    assert call(*flags, '--max_steps=450')[0] == 0
    assert resume(tmp_path, '--max_steps=1000')[::2] == (0, [])
    assert variables(tmp_path, LAST) == variables(undisturbed[1], LAST)
    assert curves(tmp_path)['loss'] == curves(undisturbed[1])['loss']
    kept = [name for name in os.listdir(str(tmp_path)) if name.endswith('.index')]
    assert len(kept) == 5  # the earlier ones were removed as the run went on
    assert record_of(tmp_path) == {
        'learning_rate': 0.01,
        'max_steps': 1000,
        'hidden1': 128,
        'hidden2': 32,
        'batch_size': 100,
        'eval_steps': 100,
        'input_data_dir': digits_dir,
        'seed': 5,
        'fake_data': False,
        'unevaluated': 0,
    }


def test_other_flags_may_change(copied):
    flags = '--learning_rate=0.5', '--eval_steps=50', '--max_steps=1100'
    assert resume(copied, *flags)[::2] == (0, [])
    assert {'model.ckpt-1049.index', 'model.ckpt-1099.index'} <= set(os.listdir(copied))
    assert record_of(copied)['learning_rate'] == 0.5


@pytest.mark.parametrize(
    'flag, before',
    [
        ('--hidden1=64', '128'),
        ('--hidden2=16', '32'),
        ('--batch_size=50', '100'),
        ('--seed=6', '5'),
        ('--fake_data', 'False'),
    ],
)
def test_contradiction_names_both_values(copied, flag, before):
    files = files_in(copied)
    status, stdout, (line,) = resume(copied, flag)
    assert (status, stdout) == (2, [])
    name, _, value = flag.partition('=')
    assert '%s %s contradicts %s' % (name, value or 'True', before) in line
    assert files_in(copied) == files


@pytest.mark.parametrize('text', ['', '{"seed": 5,', '3', '{}', '--max_steps=1000\n'])
def test_damaged_record_is_named_and_what_the_message_advises_works(
    copied, undisturbed, text
):
    path = os.path.join(copied, RECORD)
    with open(path, 'w') as f:
        f.write(text)
    files = files_in(copied)
    status, stdout, (line,) = resume(copied)
    assert (status, stdout) == (1, [])
    assert path + ' is damaged; delete it and give the flags of its run again' in line
    assert files_in(copied) == files
    os.remove(path)
    status, stdout, stderr = resume(copied, *undisturbed[0], '--max_steps=1001')
    assert (status, stderr) == (0, []) and stdout[0].startswith('Step 1000:')


@pytest.mark.parametrize('name, value', [('eval_steps', 0), ('seed', None)])
def test_number_out_of_range_in_the_record_is_named(copied, name, value):
    with open(os.path.join(copied, RECORD), 'r+') as f:
        record = dict(json.load(f), **{name: value})
        f.seek(0)
        json.dump(record, f)
        f.truncate()
        f.write('\n\n')  # blank lines do no damage
    status, stdout, (line,) = resume(copied)
    assert (status, stdout) == (2, []) and '--' + name in line


@pytest.mark.parametrize('name', ['two\nlines', 'latin-\udce9'])
def test_any_name_survives_the_record(digits_dir, tmp_path, name):
    data, log_dir = str(tmp_path / name), str(tmp_path / 'log')
    os.symlink(digits_dir, data)
    assert call(*flags_for(data, log_dir, '--max_steps=2'))[::2] == (0, [])
    assert resume(log_dir, '--max_steps=3')[::2] == (0, [])
    assert record_of(log_dir)['input_data_dir'] == data


def test_seed_is_drawn_and_recorded(digits_dir, tmp_path):
    def first_step(name, *flags):
        log_dir = str(tmp_path / name)
        assert call(*flags_for(digits_dir, log_dir, '--max_steps=1', *flags))[0] == 0
        return str(record_of(log_dir)['seed']), variables(log_dir, 'model.ckpt-0')

    seed, weights = first_step('one')
    other_seed, other_weights = first_step('two')
    assert seed != other_seed and weights != other_weights
    assert first_step('three', '--seed', seed) == (seed, weights)


def test_new_run_replaces_the_earlier_one_and_nothing_else(digits_dir, copied):
    users = [
        'notes.txt',
        'model.ckpt-best.txt',
        'model.ckpt-5.index.bak',
        'old-checkpoint',
        'events.out.tfevents.1.other',
        os.path.join('model.ckpt-7', 'checkpoint'),  # in a folder
    ]
    leftovers = [  # of a run that was killed while it wrote them
        'model.ckpt-7.data-00000-of-00001.tempstate123',
        'checkpoint.tmp0a1b',
        'model.ckpt-7.meta.tmp0a1b',
        RECORD + '.tmp',
    ]
    earlier = files_in(copied)
    os.mkdir(os.path.join(copied, 'model.ckpt-7'))
    for name in users + leftovers:
        with open(os.path.join(copied, name), 'w') as f:
            f.write('mine')
    status, _, (line,) = call(*flags_for(digits_dir, copied, '--max_steps=2'))
    assert status == 0
    assert 'replacing the run of 1000 steps in %s; --resume would have' % copied in line
    now = files_in(copied)
    assert {now.pop(name) for name in users} == {b'mine'}
    written = {'checkpoint', RECORD}
    ends = 'data-00000-of-00001', 'index', 'meta'
    written |= {'model.ckpt-1.' + end for end in ends}
    (events,) = set(now) - written
    assert events.startswith('events.out.tfevents.')
    assert now[events] != earlier.get(events)  # of the same name within a second
    assert now[RECORD] != earlier[RECORD]


@pytest.mark.parametrize('removals', [0, 2, 5, 9])
def test_kill_while_a_new_run_replaces_the_earlier_one(
    copied, undisturbed, monkeypatch, removals
):
    remove, left = os.remove, list(range(removals))

    def end(path):
        if not left:
            raise OSError('killed')
        left.pop()
        remove(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, 'remove', end)
        assert call(*undisturbed[0], '--log_dir', copied)[0] == 1
    status, _, stderr = resume(copied)
    assert status == 0 and 'cannot be restored' not in ' '.join(stderr)
    assert_same_run(copied, undisturbed)


def test_new_run_keeps_off_checkpoints_of_others(digits_dir, tmp_path):
    for name in 'checkpoint', 'model.ckpt-1999.index':
        (tmp_path / name).write_bytes(b'of TensorFlow 1.3')
    before = files_in(tmp_path)
    status, stdout, (line,) = call(*flags_for(digits_dir, str(tmp_path)))
    assert (status, stdout) == (1, [])
    assert '--log_dir %s holds ' % tmp_path in line and '--resume' in line
    assert files_in(tmp_path) == before


def test_resume_keeps_off_checkpoints_of_another_model(digits_dir, tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.Variable(0, name='other')
        sess.run(tf.global_variables_initializer())
        tf.train.Saver().save(sess, str(tmp_path / 'model.ckpt'), global_step=9)
    before = files_in(tmp_path)
    status, stdout, stderr = resume(tmp_path, '--input_data_dir', digits_dir)
    assert (status, stdout) == (1, [])
    assert '--log_dir %s has no checkpoint of this model' % tmp_path in stderr[-1]
    assert files_in(tmp_path) == before


def test_checkpoint_of_tensorflow_1_3_can_be_resumed(
    reference_dir, digits_dir, tmp_path
):
    checkpoint = os.path.join(reference_dir, 'checkpoint')
    log_dir = shutil.copytree(checkpoint, str(tmp_path / 'log'))
    flags = '--input_data_dir', digits_dir
    status, stdout, (line,) = resume(log_dir, '--hidden1=64', *flags)
    assert (status, stdout) == (1, [])
    assert '--hidden1 64' in line and 'model.ckpt-1999' in line
    before = files_in(log_dir)
    assert resume(log_dir, *flags)[::2] == (0, [LEFT % 2000])
    assert files_in(log_dir) == before
    status, stdout, stderr = resume(log_dir, '--max_steps=2010', *flags)
    assert (status, stderr) == (0, []) and stdout[0].startswith('Step 2000:')
    names = os.listdir(log_dir)
    assert 'model.ckpt-1999.index' in names and 'model.ckpt-2009.index' in names


def test_second_run_in_a_directory_ends_until_the_first_is_gone(
    start, digits_dir, tmp_path
):
    flags = flags_for(digits_dir, str(tmp_path), '--max_steps=1')
    process = start(*flags, '--max_steps=10000000', '--eval_steps=10000000')
    read_until(process, 'Step 0:')
    for extra in [], ['--resume']:
        status, stdout, (line,) = call(*flags, *extra)
        assert (status, stdout) == (1, [])
        assert '--log_dir %s: another run is writing there' % tmp_path in line
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130  # long before the next checkpoint would be due
    assert call(*flags)[0] == 0
