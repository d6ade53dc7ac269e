"""Stopping, resuming and killing a run, its log directory, and exact evaluation."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import fully_connected_feed
import input_data
import mnist
from helpers import (
    PROGRAM,
    ROOT,
    call,
    curves,
    files_in,
    flags_for,
    own_lines,
    variables,
    without_rights,
)

LAST = 'model.ckpt-999'
NOTHING_THERE = 'fully_connected_feed: no checkpoint in %s; starting at step 0'


def undisturbed_flags(digits_dir, log_dir):
    flags = '--max_steps=1000', '--eval_steps=100', '--seed=5'
    return flags_for(digits_dir, log_dir, *flags)


@pytest.fixture(scope='module')
def finished(tmp_path_factory, digits_dir):
    """The log directory of an undisturbed run; a test that writes takes a copy."""
    directory = str(tmp_path_factory.mktemp('undisturbed') / 'log')
    status, _, stderr = call(*undisturbed_flags(digits_dir, directory))
    assert (status, stderr) == (0, [])
    return directory


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished run's log directory."""
    return shutil.copytree(finished, str(tmp_path / 'log'))


def assert_same_run(log_dir, finished):
    """The weights are the same bit for bit, and both show the same clean curves."""
    assert variables(log_dir, LAST) == variables(finished, LAST)
    expected = curves(finished)
    assert [step for step, _ in expected['loss']] == list(range(0, 1000, 100))
    evaluated = list(range(99, 1000, 100))
    for name in 'train', 'validation', 'test':
        assert [step for step, _ in expected['precision/' + name]] == evaluated
    assert curves(log_dir) == expected


def record_of(log_dir):
    with open(os.path.join(str(log_dir), 'fully_connected_feed.flags')) as f:
        return json.load(f)


def read_until(process, start_of_line):
    for line in process.stdout:
        if line.startswith(start_of_line):
            return
    pytest.fail('no line %r; stderr: %s' % (start_of_line, process.stderr.read()))


def test_killed_at_random_moments(start, digits_dir, finished, tmp_path):
    flags = undisturbed_flags(digits_dir, str(tmp_path)) + ['--resume']
    rng = random.Random(1)
    # How many lines to wait for, and how many seconds after them: before the record is
    # there; in training; at the start of an evaluation; while a checkpoint is written.
    moments = [(0, rng.uniform(0.5, 2))]
    moments += [(1, rng.uniform(0, 0.05)), (2, 0), (7, rng.uniform(0, 0.01))]
    moments += [(rng.randint(1, 9), rng.uniform(0, 0.03)) for _ in range(2)]
    for lines, seconds in moments:
        process = start(*flags)
        for _ in range(lines):
            assert process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    status, stdout, _ = call(*flags)
    assert status == 0 and 'Step 0:' not in '\n'.join(stdout)
    assert_same_run(tmp_path, finished)


@pytest.mark.parametrize(
    'name, status', [('SIGINT', 130), ('SIGTERM', 143), ('SIGHUP', 129)]
)
def test_signal_saves_and_says_how_to_go_on(
    start, digits_dir, finished, tmp_path, name, status
):
    log_dir = str(tmp_path / "user's log")
    process = start(*undisturbed_flags(digits_dir, log_dir) + ['--eval_steps=1000'])
    read_until(process, 'Step 100:')
    process.send_signal(getattr(signal, name))
    first, line = own_lines(process.communicate()[1])
    assert process.returncode == status
    assert first == 'fully_connected_feed: %s: saving the weights' % name
    step, command, flags = re.match(
        r'fully_connected_feed: stopped by %s after step (\d+); to go on:'
        r' (\S+ \S+) (.+)' % name,
        line,
    ).groups()
    assert int(step) < 999  # the step in hand, not the next one that is saved anyway
    assert 'model.ckpt-%s.index' % step in os.listdir(log_dir)
    assert flags == "--resume --log_dir '%s'" % log_dir.replace("'", "'\"'\"'")
    subprocess.check_output(command + ' ' + flags, shell=True)
    assert variables(log_dir, LAST) == variables(finished, LAST)
    expected = curves(finished)
    loss = expected.pop('loss')
    assert curves(log_dir) == dict(
        {tag: expected[tag][-1:] for tag in expected}, loss=loss
    )


@pytest.mark.parametrize(
    'suffix, damage',
    [('data-00000-of-00001', damage) for damage in ('halved', 'flipped', 'removed')]
    + [('index', damage) for damage in ('halved', 'flipped', 'empty')],
)
def test_damaged_checkpoint_gives_way_to_the_one_before(
    copied, finished, suffix, damage
):
    path = os.path.join(copied, LAST + '.' + suffix)
    with open(path, 'rb') as f:
        content = bytearray(f.read())
    content[len(content) // 2] ^= 0x40
    length = {'flipped': len(content), 'halved': len(content) // 2}.get(damage, 0)
    os.remove(path)
    if damage != 'removed':
        with open(path, 'wb') as f:
            f.write(content[:length])
    status, stdout, (line,) = call('--resume', '--log_dir', copied)
    assert status == 0 and stdout[0].startswith('Step 900:')
    assert os.path.join(copied, LAST) + ' is damaged' in line
    assert_same_run(copied, finished)


def test_resume_with_nothing_there_starts_at_step_0(digits_dir, finished, tmp_path):
    log_dir = str(tmp_path / 'new')
    result = call('--resume', *undisturbed_flags(digits_dir, log_dir))
    assert result[0] == 0 and result[1][0].startswith('Step 0:')
    assert result[2] == [NOTHING_THERE % log_dir]
    assert_same_run(log_dir, finished)


def test_resume_of_a_finished_run_only_evaluates(copied):
    def times():
        names = sorted(files_in(copied))
        return [os.stat(os.path.join(copied, name)).st_mtime_ns for name in names]

    before, times_before = files_in(copied), times()
    status, stdout, stderr = call('--resume', '--log_dir', copied)
    assert (status, stderr) == (0, [])
    assert stdout[::2] == [
        name + ' Data Eval:' for name in ('Training', 'Validation', 'Test')
    ]
    for line, tag in zip(stdout[1::2], ('train', 'validation', 'test')):
        precision = curves(copied)['precision/' + tag][-1][1]
        assert line.endswith('Precision @ 1: %0.04f' % precision)
    assert files_in(copied) == before and times() == times_before


def test_resume_takes_recorded_flags_and_more_steps(digits_dir, finished, tmp_path):
    log_dir = str(tmp_path)
    flags = undisturbed_flags(digits_dir, log_dir)
    assert call(*flags + ['--max_steps=450'])[0] == 0
    assert call('--resume', '--max_steps=1000', '--log_dir', log_dir)[::2] == (0, [])
    assert variables(log_dir, LAST) == variables(finished, LAST)
    assert curves(log_dir)['loss'] == curves(finished)['loss']
    kept = [name for name in os.listdir(log_dir) if name.endswith('.index')]
    assert len(kept) == 5  # the earlier ones were removed as the run went on
    assert record_of(log_dir) == {
        'learning_rate': 0.01,
        'max_steps': 1000,
        'hidden1': 128,
        'hidden2': 32,
        'batch_size': 100,
        'eval_steps': 100,
        'input_data_dir': digits_dir,
        'seed': 5,
        'fake_data': False,
        'unevaluated': None,
    }


@pytest.mark.parametrize(
    'flag, value, before',
    [
        ('hidden1', '64', '128'),
        ('hidden2', '16', '32'),
        ('batch_size', '50', '100'),
        ('seed', '6', '5'),
        ('fake_data', 'True', 'False'),
    ],
)
def test_contradiction_names_both_values(copied, flag, value, before):
    files = files_in(copied)
    given = ['--fake_data'] if flag == 'fake_data' else ['--' + flag, value]
    status, stdout, (line,) = call('--resume', '--log_dir', copied, *given)
    assert (status, stdout) == (2, [])
    assert '--%s %s contradicts %s' % (flag, value, before) in line
    assert files_in(copied) == files


@pytest.mark.parametrize(
    'damage',
    [lambda text: '', lambda text: text[:60], lambda text: text[:-2], lambda text: '3']
    + [lambda text: '{}', lambda text: '--max_steps=1000\n'],
)
def test_damaged_record_is_named_and_what_the_message_advises_works(
    copied, digits_dir, damage
):
    path = os.path.join(copied, 'fully_connected_feed.flags')
    with open(path) as f:
        text = f.read()
    with open(path, 'w') as f:
        f.write(damage(text))
    files = files_in(copied)
    status, stdout, (line,) = call('--resume', '--log_dir', copied)
    assert (status, stdout) == (2, [])
    assert path + ' is damaged; delete it and give the flags of its run again' in line
    assert files_in(copied) == files
    os.remove(path)
    flags = undisturbed_flags(digits_dir, copied) + ['--max_steps=1001', '--resume']
    status, stdout, stderr = call(*flags)
    assert (status, stderr) == (0, []) and stdout[0].startswith('Step 1000:')


@pytest.mark.parametrize(
    'name, value', [('max_steps', -3), ('eval_steps', 0), ('seed', None)]
)
def test_number_out_of_range_in_the_record_is_named(copied, name, value):
    path = os.path.join(copied, 'fully_connected_feed.flags')
    record = dict(record_of(copied), **{name: value})
    with open(path, 'w') as f:
        json.dump(record, f)
    status, stdout, (line,) = call('--resume', '--log_dir', copied)
    assert (status, stdout) == (2, []) and '--' + name in line


def test_blank_lines_do_not_damage_the_record(copied):
    with open(os.path.join(copied, 'fully_connected_feed.flags'), 'a') as f:
        f.write('\n\n')
    assert call('--resume', '--log_dir', copied)[::2] == (0, [])


@pytest.mark.parametrize('name', ['two\nlines', 'latin-\udce9'])
def test_any_name_survives_the_record(digits_dir, tmp_path, name):
    data, log_dir = str(tmp_path / name), str(tmp_path / 'log')
    os.symlink(digits_dir, data)
    assert call(*flags_for(data, log_dir, '--max_steps=2'))[::2] == (0, [])
    assert call('--resume', '--max_steps=3', '--log_dir', log_dir)[::2] == (0, [])
    assert record_of(log_dir)['input_data_dir'] == data


def test_resume_with_fewer_steps_than_are_done_says_so(copied):
    flags = '--resume', '--max_steps=50', '--log_dir', copied
    status, stdout, (line,) = call(*flags)
    assert status == 0 and stdout[0] == 'Training Data Eval:'
    assert 'nothing left to train: 1000 steps are done, --max_steps is 50' in line


def test_finished_run_that_may_only_be_read_is_evaluated(copied, digits_dir):
    os.chmod(copied, 0o555)
    before = files_in(copied)
    with without_rights(copied, digits_dir):
        status, stdout, stderr = call('--resume', '--log_dir', copied)
    assert (status, stderr) == (0, []) and stdout[0] == 'Training Data Eval:'
    assert files_in(copied) == before


@pytest.fixture(scope='module')
def slow(tmp_path_factory, digits_dir):
    """A log directory and its flags; each of two evaluations takes a second or more."""
    directory = str(tmp_path_factory.mktemp('slow') / 'log')
    flags = '--max_steps=120', '--eval_steps=60', '--seed=5', '--batch_size=1'
    assert call(*flags_for(digits_dir, directory, *flags))[::2] == (0, [])
    return directory, flags


@pytest.mark.parametrize('step', [59, 119])
def test_evaluation_that_a_signal_stops_is_made_up_for_once(
    start, digits_dir, slow, tmp_path, step
):
    finished, flags = slow
    process = start(*flags_for(digits_dir, str(tmp_path), *flags))
    for _ in range(step // 60 + 1):
        read_until(process, 'Training Data Eval:')
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate()
    assert process.returncode == 130 and 'Test Data Eval:' not in stdout
    first, last = own_lines(stderr)
    assert 'stopped by SIGINT after step %d; to go on:' % step in last
    assert record_of(tmp_path)['unevaluated'] == step
    assert call('--resume', '--log_dir', str(tmp_path))[::2] == (0, [])
    assert record_of(tmp_path)['unevaluated'] is None
    assert variables(tmp_path, 'model.ckpt-119') == variables(
        finished, 'model.ckpt-119'
    )
    assert curves(tmp_path) == curves(finished)


def test_evaluation_of_a_finished_run_can_be_stopped(start, slow):
    before = files_in(slow[0])
    process = start('--resume', '--log_dir', slow[0])
    read_until(process, 'Training Data Eval:')
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate()
    assert process.returncode == 143 and 'Test Data Eval:' not in stdout
    assert len(own_lines(stderr)) == 2
    assert files_in(slow[0]) == before


def test_evaluation_made_up_for_can_be_stopped_too(start, digits_dir, slow, tmp_path):
    finished, flags = slow
    for extra in [], ['--resume']:
        process = start(*flags_for(digits_dir, str(tmp_path), *flags) + extra)
        read_until(process, 'Training Data Eval:')
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert record_of(tmp_path)['unevaluated'] == 59
    assert call('--resume', '--log_dir', str(tmp_path))[::2] == (0, [])
    assert curves(tmp_path) == curves(finished)


def test_nohup_is_heeded(digits_dir, tmp_path):
    process = subprocess.Popen(
        ['nohup', sys.executable, PROGRAM]
        + flags_for(digits_dir, str(tmp_path), '--max_steps=101'),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    read_until(process, 'Step 0:')
    process.send_signal(signal.SIGHUP)
    _, stderr = process.communicate()
    assert process.returncode == 0 and 'SIGHUP' not in stderr
    assert (tmp_path / 'model.ckpt-100.index').exists()


@pytest.mark.parametrize('number', range(6))
def test_no_later_signal_breaks_the_save(start, digits_dir, finished, tmp_path, number):
    rng = random.Random(number)
    log_dir = str(tmp_path / 'log')
    process = start(*undisturbed_flags(digits_dir, log_dir) + ['--max_steps=100000'])
    read_until(process, 'Step %d:' % rng.choice([0, 100, 200]))
    signals = [
        getattr(signal, rng.choice(['SIGINT', 'SIGTERM', 'SIGHUP'])) for _ in '123'
    ]
    for signum in signals:
        process.send_signal(signum)
        time.sleep(rng.uniform(0.005, 0.1))
    _, stderr = process.communicate()
    assert process.returncode == 128 + signals[0], stderr
    assert len(own_lines(stderr)) == 2
    resumed = call('--resume', '--max_steps=1000', '--log_dir', log_dir)
    assert (resumed[0], resumed[2]) == (0, [])
    assert_same_run(log_dir, finished)


@pytest.mark.skipif(
    not tf.__version__.startswith('2.21'),
    reason='older TensorFlow swallows it at times',
)
def test_interrupted_while_tensorflow_is_imported(start, digits_dir, tmp_path):
    ends = []
    for seconds in 0.5, 0.7, 0.9:  # a slow machine may not have begun with it
        process = start(*flags_for(digits_dir, str(tmp_path / 'log')))
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        ends.append((own_lines(process.communicate()[1])[-1:], process.returncode))
    assert (['fully_connected_feed: interrupted'], 130) in ends


def test_command_in_the_last_line_is_the_user_s(monkeypatch):
    monkeypatch.chdir(os.path.join(ROOT, 'tests'))
    path = os.path.join('..', 'fully_connected_feed.py')
    monkeypatch.setenv('PATH', os.path.dirname(sys.executable))
    assert fully_connected_feed.own_command() == 'python ' + path
    monkeypatch.setenv('PATH', '')
    assert fully_connected_feed.own_command() == sys.executable + ' ' + path
    monkeypatch.setattr(sys, 'argv', ['/usr/bin/fully_connected_feed'])
    assert fully_connected_feed.own_command() == '/usr/bin/fully_connected_feed'


def test_other_flags_may_change(copied):
    flags = '--learning_rate=0.5', '--eval_steps=50', '--max_steps=1100'
    assert call('--resume', '--log_dir', copied, *flags)[::2] == (0, [])
    assert {'model.ckpt-1049.index', 'model.ckpt-1099.index'} <= set(os.listdir(copied))
    losses = dict(curves(copied)['loss'])
    assert len(losses) == 11 and losses[1000] < losses[0]
    found = record_of(copied)
    for flag in flags:
        name, value = flag[2:].split('=')
        assert found[name] == float(value)


def test_seed_is_drawn_and_recorded(digits_dir, tmp_path):
    def first_step(name, *flags):
        log_dir = str(tmp_path / name)
        status = call(*flags_for(digits_dir, log_dir, '--max_steps=1', *flags))[0]
        assert status == 0
        return str(record_of(log_dir)['seed']), variables(log_dir, 'model.ckpt-0')

    seed, weights = first_step('one')
    other_seed, other_weights = first_step('two')
    assert seed != other_seed and weights != other_weights
    assert first_step('three', '--seed', seed) == (seed, weights)


def test_new_run_replaces_the_earlier_one_and_nothing_else(digits_dir, copied):
    users = {
        'notes.txt': 'mine',
        'model.ckpt-best.txt': 'mine',
        'events.txt': 'mine',
        'model.ckpt-5.index.bak': 'mine',
        'old-checkpoint': 'mine',
        'events.out.tfevents.1.other': 'of another program',
        os.path.join('model.ckpt-7', 'checkpoint'): 'in a folder',
    }
    leftovers = {  # of a run that was killed while it wrote them
        'model.ckpt-7.data-00000-of-00001.tempstate123': '',
        'checkpoint.tmp0a1b': '',
        'model.ckpt-7.meta.tmp0a1b': '',
        'fully_connected_feed.flags.tmp': '',
    }
    earlier = files_in(copied)
    os.mkdir(os.path.join(copied, 'model.ckpt-7'))
    os.mkdir(os.path.join(copied, 'model.ckpt-7.index'))
    for name, text in list(users.items()) + list(leftovers.items()):
        with open(os.path.join(copied, name), 'w') as f:
            f.write(text)
    status, _, (line,) = call(*flags_for(digits_dir, copied, '--max_steps=2'))
    assert status == 0
    assert 'replacing the run of 1000 steps in %s; --resume would have' % copied in line
    now = files_in(copied)
    assert {name: now.pop(name).decode() for name in users} == users
    written = {'checkpoint', 'fully_connected_feed.flags'}
    ends = 'data-00000-of-00001', 'index', 'meta'
    written |= {'model.ckpt-1.' + end for end in ends}
    (events,) = set(now) - written
    assert events.startswith('events.out.tfevents.') and events not in earlier
    assert set(now) == written | {events}
    assert now['fully_connected_feed.flags'] != earlier['fully_connected_feed.flags']


def test_new_run_keeps_off_checkpoints_of_others(digits_dir, tmp_path):
    ends = '-1999.index', '-1999.data-00000-of-00001'
    for name in ['checkpoint'] + ['model.ckpt' + end for end in ends]:
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
    result = call('--resume', *flags_for(digits_dir, str(tmp_path), '--max_steps=10'))
    assert result[:2] == (1, [])
    assert '--log_dir %s holds checkpoints, but none' % tmp_path in result[2][-1]
    assert files_in(tmp_path) == before


def test_checkpoint_of_tensorflow_1_3_can_be_resumed(
    reference_dir, digits_dir, tmp_path
):
    log_dir = shutil.copytree(
        os.path.join(reference_dir, 'checkpoint'), str(tmp_path / 'log')
    )
    flags = ['--resume'] + flags_for(digits_dir, log_dir)
    status, stdout, (line,) = call('--hidden1=64', *flags)
    assert (status, stdout) == (1, [])
    assert '--hidden1 64' in line and '128' in line
    status, stdout, stderr = call('--max_steps=2010', *flags)
    assert (status, stderr) == (0, []) and stdout[0].startswith('Step 2000:')
    names = os.listdir(log_dir)
    assert 'model.ckpt-1999.index' in names and 'model.ckpt-2009.index' in names


def test_second_run_in_a_directory_ends_until_the_first_is_gone(
    start, digits_dir, tmp_path
):
    flags = flags_for(digits_dir, str(tmp_path), '--max_steps=1')
    process = start(*flags + ['--max_steps=1000000'])
    read_until(process, 'Step 0:')
    for extra in [], ['--resume']:
        status, stdout, (line,) = call(*flags + extra)
        assert (status, stdout) == (1, [])
        assert '--log_dir %s: another run is writing there' % tmp_path in line
    assert process.poll() is None
    process.kill()
    process.wait()
    assert call(*flags)[0] == 0


def numbered(size, seed=3):
    """A DataSet whose images and labels tell which example they are."""
    pixels = np.arange(size * 2).astype(np.uint8).reshape(size, 2, 1, 1)
    return input_data.DataSet(pixels, np.arange(size), seed=seed)


@pytest.mark.parametrize('size', [1, 2, 7, 10, 64, 101])
def test_skip_is_many_batches_not_looked_at(size):
    for batch_size in sorted({1, 2, 3, size // 2 + 1, size}):
        if batch_size > size:
            continue
        for batches in list(range(13)) + [97]:
            skipped, walked = numbered(size), numbered(size)
            skipped.skip(batch_size, batches)
            for _ in range(batches):
                walked.next_batch(batch_size)
            assert skipped.epochs_completed == walked.epochs_completed
            for _ in range(2 * size // batch_size + 2):
                found = skipped.next_batch(batch_size)
                expected = walked.next_batch(batch_size)
                np.testing.assert_array_equal(found[0], expected[0])
                np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize('batch_size', [1, 7, 100, 999, 1000])
def test_each_example_is_evaluated_once(finished, digits_dir, capsys, batch_size):
    sets, twin = (input_data.read_data_sets(digits_dir, seed=3) for _ in range(2))
    for data_sets in sets, twin:
        data_sets.train.next_batch(77)
    reader = tf.train.NewCheckpointReader(os.path.join(finished, LAST))
    with tf.Graph().as_default(), tf.Session() as sess:
        images, labels = fully_connected_feed.placeholder_inputs(batch_size)
        logits = mnist.inference(images, 128, 32)
        correct = mnist.evaluation(logits, labels)
        tf.train.Saver().restore(sess, os.path.join(finished, LAST))
        for data_set in sets.test, sets.train:  # 1,000 and 2,000 examples
            values = twin[sets.index(data_set)].images
            for name in 'hidden1', 'hidden2', 'softmax_linear':
                values = values.dot(reader.get_tensor(name + '/weights'))
                values = values + reader.get_tensor(name + '/biases')
                values = values if name == 'softmax_linear' else np.maximum(values, 0)
            ranked = np.sort(values)
            assert (ranked[:, -1] - ranked[:, -2]).min() > 1e-5  # no ties
            hits = values.argmax(1) == twin[sets.index(data_set)].labels
            precision = fully_connected_feed.do_eval(
                sess, correct, images, labels, data_set
            )
            assert precision == hits.sum() / len(hits)
            assert capsys.readouterr().out == (
                '  Num examples: %d  Num correct: %d  Precision @ 1: %0.04f\n'
                % (len(hits), hits.sum(), precision)
            )
    for _ in range(60):  # the training set goes on where it was
        found, expected = sets.train.next_batch(77), twin.train.next_batch(77)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize('predicted', range(10))
def test_what_fills_up_the_last_batch_is_not_counted(predicted):
    labels = np.arange(13) % 10
    data_set = input_data.DataSet(np.zeros((13, 28, 28, 1), np.uint8), labels)
    with tf.Graph().as_default(), tf.Session() as sess:
        feeds = fully_connected_feed.placeholder_inputs(8)
        logits = tf.one_hot([predicted] * 8, 10)
        correct = mnist.evaluation(logits, feeds[1])
        precision = fully_connected_feed.do_eval(sess, correct, *feeds, data_set)
    assert precision == (labels == predicted).sum() / 13


@pytest.mark.parametrize('batch_size', [1, 3, 10, 11])
def test_in_order_yields_each_example_once(batch_size):
    data_set = numbered(10)
    data_set.next_batch(4)
    batches = list(data_set.in_order(batch_size))
    assert sorted(np.concatenate([b[1] for b in batches])) == list(range(10))
    for pixels, labels in batches:
        np.testing.assert_array_equal(np.rint(pixels[:, 0] * 255), labels * 2)
    assert all(len(images) == len(labels) for images, labels in batches)
    assert {len(labels) for _, labels in batches[:-1]} <= {batch_size}
    assert data_set._index_in_epoch == 4
