"""Resuming a run: its checkpoints, its flags, its data."""

import json
import os
import re
import shutil

import numpy as np
import pytest

import input_data
from helpers import (
    GOING_ON,
    LAST,
    RECORD,
    ROOT,
    SAYS,
    assert_one_line,
    assert_same_run,
    call,
    curves,
    files_in,
    read,
    record_of,
    resume,
    steps_saved,
    variables,
)
from idx_files import MNIST_DIR, write_idx


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
    status, stdout, (line, told) = resume(copied)
    assert status == 0 and stdout[0] == 'Training Data Eval:'
    assert stdout[6].startswith('Step 900:') and told == GOING_ON % (900, 950)
    assert os.path.join(copied, 'model.ckpt-949 cannot be restored') in line
    assert_same_run(copied, finished.log_dir)


@pytest.mark.parametrize('more', [[], ['--max_steps=50']])
def test_resume_of_a_finished_run_only_evaluates(copied, finished, more):
    assert resume(copied, *more) == (0, finished.lines[-6:], [GOING_ON % (950, 950)])
    assert_same_run(copied, finished.log_dir)


def test_resume_takes_recorded_flags_and_more_steps(flags, finished, tmp_path):
    status, _, lines = call('--resume', *flags(tmp_path, '--max_steps=450'))
    nothing = SAYS + 'no checkpoint in %s; starting at step 0' % tmp_path
    assert (status, lines) == (0, [nothing])
    assert resume(tmp_path, '--max_steps=950')[::2] == (0, [GOING_ON % (450, 950)])
    assert variables(tmp_path, LAST) == variables(finished.log_dir, LAST)
    assert curves(tmp_path)['loss'] == curves(finished.log_dir)['loss']
    # The newest five are left: the earlier ones were removed as the run went on.
    assert steps_saved(tmp_path) == [599, 699, 799, 899, 949]
    assert record_of(tmp_path) == record_of(finished.log_dir)


@pytest.mark.parametrize('batch_size', [3, 1001, 2000])
def test_batches_go_on_where_they_were(flags, tmp_path, batch_size):
    for name, ends in ('whole', [5]), ('parts', [1, 4, 5]):
        for end in ends:
            changed = '--batch_size=%d' % batch_size, '--max_steps=%d' % end
            assert call('--resume', *flags(tmp_path / name, *changed))[0] == 0
    assert variables(tmp_path / 'whole', 4) == variables(tmp_path / 'parts', 4)
    # Runs of the same second have event files of their own.
    assert curves(tmp_path / 'parts') == curves(tmp_path / 'whole')


def test_other_flags_may_change(copied):
    changed = '--learning_rate=0.5', '--eval_steps=50', '--max_steps=1100'
    assert resume(copied, *changed)[::2] == (0, [GOING_ON % (950, 1100)])
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
    assert_one_line(resume(copied, changed), 1, contradiction)
    assert files_in(copied) == files_in(finished.log_dir)


@pytest.mark.parametrize(
    'found, damaged',
    [
        ('(?s).+', ''),
        ('(?s).+', '3'),
        ('(?s).+', '[["--seed", 5]]'),
        ('(?s).+', '[' * 100000),
        ('(?s).+', '--max_steps=950\n'),
        ('(?s).{60}$', ''),
    ],
)
def test_damaged_record_is_named_and_what_the_message_advises_works(
    copied, flags, tmp_path, found, damaged
):
    path = os.path.join(copied, RECORD)
    text = re.sub(found, damaged, read(path))
    with open(path, 'w') as f:
        f.write(text)
    advice = '%s is damaged; move it away, and give --learning_rate, ' % path
    assert_one_line(resume(copied), 1, advice, *ALL_FLAGS)
    assert read(path) == text
    os.rename(path, str(tmp_path / 'moved away'))
    assert call(*flags(copied, '--max_steps=1001', '--resume'))[0] == 0
    assert steps_saved(copied)[-2:] == [999, 1000]


# What a run depends on.
ALL_FLAGS = '--learning_rate --max_steps --hidden1 --hidden2 --batch_size'.split()
ALL_FLAGS += '--eval_steps --input_data_dir --seed --fake_data'.split()


@pytest.mark.parametrize(
    'found, damaged, words',
    [
        ('"max_steps": 950', '"max_steps": 0', '--max_steps 0 is not from'),
        ('"max_steps": 950', '"max_steps": 9.5', '--max_steps 9.5 is not from'),
        ('"max_steps": 950', '"max_steps": Infinity', '--max_steps inf is not from'),
        ('"eval_steps": 100', '"eval_steps": "100"', '--eval_steps 100 is not from'),
        ('"eval_steps": 100', '"eval_steps": [100]', '--eval_steps [100] is not from'),
        ('"learning_rate": 0.01', '"learning_rate": null', '--learning_rate None'),
    ],
)
def test_recorded_flag_outside_its_limits_can_be_overruled(
    copied, found, damaged, words
):
    """Version 1.2 allowed and recorded --max_steps 0."""
    text = read(copied, RECORD)
    assert found in text
    with open(os.path.join(copied, RECORD), 'w') as f:
        f.write(text.replace(found, damaged))
    assert_one_line(resume(copied), 1, words)
    flag = found.replace('"', '').replace(': ', '=')
    assert resume(copied, '--' + flag)[0] == 0


def test_lost_record_is_told_with_the_flags_that_it_held(copied, flags):
    os.remove(os.path.join(copied, RECORD))
    status, _, (lost, going_on) = call('--resume', *flags(copied, '--max_steps=960'))
    assert (status, going_on) == (0, GOING_ON % (950, 960))
    assert 'no %s in %s; defaults, unless given: --' % (RECORD, copied) in lost
    assert [flag for flag in ALL_FLAGS if flag not in lost] == []


def test_flag_that_a_record_lacks_gets_its_default(copied, finished):
    record = record_of(copied)
    del record['learning_rate']
    with open(os.path.join(copied, RECORD), 'w') as f:
        json.dump(dict(record, unevaluated=950), f)  # and 1.1 wrote another
    assert resume(copied)[::2] == (0, [GOING_ON % (950, 950)])
    assert record_of(copied) == record_of(finished.log_dir)


def test_record_of_version_1_2_is_resumed_with_its_data_only(
    copied, finished, digits_dir, tmp_path
):
    """It has the checksum of the labels alone."""
    record = record_of(copied)
    data, record['data'] = record['data'], record['data'][:8]
    with open(os.path.join(copied, RECORD), 'w') as f:
        json.dump(record, f, indent=1)
    other = copy_with(digits_dir, tmp_path, input_data.TRAIN_LABELS, lambda x: 9 - x)
    assert_other_data(resume(copied, '--input_data_dir', other), copied)
    assert resume(copied)[::2] == (0, [GOING_ON % (950, 950)])
    assert record_of(copied)['data'] == data
    assert_same_run(copied, finished.log_dir)


def test_recorded_folder_that_went_bad_can_be_overruled(
    copied, digits_dir, tmp_path, flags
):
    link = tmp_path / 'link'
    link.symlink_to(digits_dir)
    log_dir = str(tmp_path / 'linked')
    changed = '--input_data_dir', str(link), '--max_steps=2'
    assert call(*flags(log_dir, *changed))[0] == 0
    link.unlink()
    link.symlink_to('/nowhere')
    assert_one_line(resume(log_dir), 1, str(link))
    assert resume(log_dir, '--input_data_dir', digits_dir)[0] == 0
    assert record_of(log_dir)['input_data_dir'] == digits_dir


def test_train_dir_does_not_replace_the_recorded_data(digits_dir, tmp_path, flags):
    assert call(*flags(tmp_path, '--max_steps=1'))[0] == 0
    more = '--resume', '--train_dir', str(tmp_path), '--max_steps=2'
    assert call(*more)[::2] == (0, [GOING_ON % (1, 2)])
    assert record_of(tmp_path)['input_data_dir'] == digits_dir


def copy_with(digits_dir, tmp_path, name, change):
    """Copies the digits, with a change of the array in one of the files."""
    other = shutil.copytree(digits_dir, str(tmp_path / 'other'))
    path = os.path.join(other, name)
    extract = input_data.extract_labels
    if 'images' in name:
        extract = input_data.extract_images
    with open(path, 'rb') as f:
        array = extract(f)
    os.remove(path)
    write_idx(path, change(array).reshape(array.shape[:3]))
    return other


def assert_other_data(result, log_dir):
    assert_one_line(result, 1, '--input_data_dir: other data than that of ' + log_dir)


def one_other(place):
    def change(labels):
        labels[place] = 9 - labels[place]
        return labels

    return change


@pytest.mark.parametrize(
    'name, change',
    [
        (input_data.TRAIN_LABELS, one_other(0)),  # validation
        (input_data.TRAIN_LABELS, one_other(6999)),
        (input_data.TEST_LABELS, one_other(999)),
        (input_data.TRAIN_IMAGES, lambda images: 255 - images),
        (input_data.TEST_IMAGES, lambda images: images // 2 * 2),
    ],
)
def test_data_that_differs_from_that_of_the_run_is_refused(
    copied, finished, digits_dir, tmp_path, name, change
):
    """One label, or the pixels of all images as in MNIST-C."""
    other = copy_with(digits_dir, tmp_path, name, change)
    result = resume(copied, '--input_data_dir', other, '--max_steps=960')
    assert_other_data(result, copied)
    assert files_in(copied) == files_in(finished.log_dir)


@pytest.mark.skipif(os.name != 'posix', reason='such names are not allowed here')
@pytest.mark.parametrize('name', ['two\nlines', 'latin-\udce9'])
def test_any_name_of_the_data_survives_the_record(flags, digits_dir, tmp_path, name):
    data, log_dir = str(tmp_path / name), str(tmp_path / 'log')
    os.symlink(digits_dir, data)
    changed = '--max_steps=2', '--input_data_dir', data
    assert call(*flags(log_dir, *changed))[::2] == (0, [])
    assert resume(log_dir, '--max_steps=3')[0] == 0
    assert record_of(log_dir)['input_data_dir'] == data


def test_seed_is_drawn_recorded_and_gives_the_same_weights(digits_dir, tmp_path):
    def first_step(name, *more):
        """The batch is the whole set: only the first weights differ."""
        places = ['--input_data_dir', digits_dir, '--log_dir', str(tmp_path / name)]
        changed = '--max_steps=1', '--batch_size=2000'
        assert call(*changed, *places, *more)[0] == 0
        return record_of(tmp_path / name)['seed'], variables(tmp_path / name, 0)

    drawn = [first_step(str(number)) for number in range(4)]
    seeds, weights = zip(*drawn)
    assert len(set(seeds)) == 4 and max(seeds) > 2**24  # 4 random bytes
    first, second = [np.frombuffer(x['hidden1/weights'], 'f') for x in weights[:2]]
    assert np.abs(first - second).max() > 0.05
    assert first_step('again', '--seed=%d' % seeds[0]) == drawn[0]


def test_checkpoint_of_tensorflow_1_3_is_evaluated_to_its_counts_and_resumed(
    tmp_path,
):
    checkpoint = os.path.join(ROOT, 'tests', 'data', 'checkpoint')
    log_dir = shutil.copytree(checkpoint, str(tmp_path / 'log'))
    os.chmod(log_dir, 0o755)
    data = '--input_data_dir', MNIST_DIR
    status, stdout, lines = resume(log_dir, *data, '--hidden1=64')
    told = SAYS + 'no checkpoint in %s fits --hidden1 and --hidden2' % log_dir
    assert (status, stdout, lines[-1]) == (1, [], told)
    assert sorted(files_in(log_dir)) == sorted(os.listdir(checkpoint))
    status, stdout, lines = resume(log_dir, *data)
    lost, going_on = lines
    assert status == 0 and RECORD in lost and going_on == GOING_ON % (2000, 2000)
    expected = json.loads(read(ROOT, 'tests', 'data', 'evaluation.json'))
    for name, line in zip(('train', 'validation', 'test'), stdout[1::2]):
        counts = expected[name]['num_examples'], expected[name]['num_correct']
        assert line.startswith('  Num examples: %d  Num correct: %d ' % counts)
    status, stdout, lines = resume(log_dir, *data, '--max_steps=2010')
    assert status == 0 and stdout[6].startswith('Step 2000:')
    assert steps_saved(log_dir) == [1999, 2009]
