"""The log directory: what a new run replaces, what it leaves alone, who may write."""

import os
import shutil
import signal

import pytest
import tensorflow.compat.v1 as tf

from helpers import (
    RECORD,
    SAYS,
    assert_one_line,
    assert_same_run,
    call,
    curves,
    files_in,
    resume,
    steps_saved,
    without_rights,
)

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
    told = 'replacing the run in %s; --resume would have gone on' % copied
    assert (status, line) == (0, SAYS + told)
    now = files_in(copied)
    assert [now.pop(name).decode() for name in USERS.split()] == USERS.split()
    ends = 'data-00000-of-00001', 'index', 'meta'
    written = {'checkpoint', RECORD} | {'model.ckpt-1.' + end for end in ends}
    (events,) = set(now) - written
    assert events.startswith('events.out.tfevents.')
    assert now[events] != earlier.get(events)  # of the same name within a second
    assert set(now) == written | {events} and now[RECORD] != earlier[RECORD]


@pytest.mark.parametrize('removals', [0, 2, 5, 9, 15])
def test_kill_while_a_new_run_replaces_the_earlier_one(
    copied, flags, finished, monkeypatch, removals
):
    remove, left = os.remove, list(range(removals))

    def end(path):
        assert not path.endswith(RECORD)
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


def test_event_file_that_cannot_be_removed_keeps_no_run_from_its_curves(
    copied, flags, monkeypatch
):
    """Windows keeps a file that TensorBoard has open."""
    remove, refused = os.remove, []

    def refuse(path):
        if path.endswith('.fully_connected_feed'):
            refused.append(path)
            raise PermissionError(13, 'The process cannot access the file', path)
        remove(path)

    monkeypatch.setattr(os, 'remove', refuse)
    assert call(*flags(copied, '--max_steps=150', '--seed=6'))[0] == 0
    assert refused and all(map(os.path.exists, refused))
    assert steps_saved(copied) == [99, 149]
    assert [step for step, _ in curves(copied)['loss']] == [0, 100]


def test_index_that_cannot_be_removed_ends_a_new_run(
    copied, flags, finished, monkeypatch
):
    """Else --resume would take the earlier run's checkpoint for this run's."""

    def refuse(path):
        raise PermissionError(13, 'Permission denied', path)

    monkeypatch.setattr(os, 'remove', refuse)
    status, stdout, lines = call(*flags(copied, '--seed=6'))
    assert (status, stdout) == (1, []) and '.index' in lines[-1]
    assert files_in(copied) == files_in(finished.log_dir)


@pytest.mark.parametrize('name', ['run[12]', 'run*', 'run?', 'run\\1', 'two\nlines'])
def test_directory_that_tensorflow_takes_for_a_pattern_is_refused(
    flags, finished, tmp_path, name
):
    """'run[12]' would have had the checkpoints of a run in run1 removed."""
    other = shutil.copytree(finished.log_dir, str(tmp_path / 'run1'))
    for more in [], ['--resume']:
        result = call(*flags(tmp_path / name / 'log', *more))
        assert_one_line(result, 1, '--log_dir', 'TensorFlow cannot take')
    assert os.listdir(str(tmp_path)) == ['run1']
    assert files_in(other) == files_in(finished.log_dir)


def test_full_disk_at_the_first_record_does_not_refuse_the_next_run(flags, tmp_path):
    (tmp_path / (RECORD + '.tmp')).write_text('{')
    assert call(*flags(tmp_path, '--max_steps=1'))[::2] == (0, [])
    assert steps_saved(tmp_path) == [0]


@pytest.mark.parametrize('more', [[], ['--resume']])
def test_checkpoints_of_another_program_are_kept(flags, tmp_path, more):
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.Variable(0, name='other')
        sess.run(tf.global_variables_initializer())
        tf.train.Saver().save(sess, str(tmp_path / 'model.ckpt'), global_step=9)
    before = files_in(tmp_path)
    status, stdout, lines = call(*flags(tmp_path, *more))
    words = 'no checkpoint in' if more else 'or --resume if it fits'
    place = '%s fits' % tmp_path if more else '--log_dir %s holds' % tmp_path
    assert_one_line((status, stdout, lines[-1:]), 1, place, words)
    assert files_in(tmp_path) == before


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


def test_lock_that_cannot_be_opened_is_heeded(flags, copied, digits_dir):
    """Another user has it, or (where the tests aren't root's) nobody may open it."""
    os.chmod(copied, 0o777)
    lock = os.path.join(copied, 'fully_connected_feed.lock')
    assert os.path.exists(lock)
    os.chmod(lock, 0)
    with without_rights(copied, digits_dir):
        result = resume(copied, '--max_steps=960')
    told = 'Permission denied; give a --train_dir of your own'
    assert_one_line(result, 1, '--log_dir %s: %s' % (copied, told))
    assert steps_saved(copied)[-1] == 949


def test_file_system_without_locks(flags, tmp_path, monkeypatch):
    def refuse(self, timeout):
        raise NotImplementedError('FileSystem does not appear to support flock')

    monkeypatch.setattr('filelock.FileLock.acquire', refuse)
    assert_one_line(call(*flags(tmp_path)), 1, '--log_dir %s' % tmp_path, 'flock')
