"""Compares this repository with other ways to train the same model on a CPU.

    python benchmarks/benchmark.py --input_data_dir DIR [--rounds N] [--plot FILE.png]

DIR holds MNIST's four files. Each contender runs in a process of its own, in turn;
ratios are taken round by round, and the tables give medians over the rounds.
"""

import argparse
import datetime
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

CONTENDERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'contenders.py')
PACKAGES = ('tensorflow', 'keras', 'numpy', 'torch', 'jax')
SIZES = (1, 4, 10)  # times the training examples of DIR
# From a function of contenders.py to the package that it takes and its name in tables.
RUNS = {
    'project_command': ('tensorflow', 'this repository, whole command'),
    'original_command': ('tensorflow', "the original's habits, whole command"),
    'project': ('tensorflow', 'this repository'),
    'original': ('tensorflow', "the original's habits"),
    'pytorch': ('torch', 'PyTorch eager'),
    'keras': ('keras', 'Keras fit'),
    'jax': ('jax', 'JAX jit'),
    'numpy': ('numpy', 'NumPy on BLAS'),
}
# What, its key, the run, the run it is divided by, and what the ratio is to be at most.
ROWS = (
    ('whole command', 'command', 'project_command', 'original_command', 0.60),
    ('peak memory', 'memory', 'project_command', 'original_command', 0.40),
    ('training step', 'step', 'project', 'original', 0.75),
    ('training step', 'step', 'project', 'pytorch', 0.95),
    ('training step', 'step', 'project', 'keras', 0.40),
    ('training step', 'step', 'project', 'jax', 1.15),
    ('training step', 'step', 'project', 'numpy', 1.80),
    ('longest step / median step', 'longest', 'project', None, 10),
    ('evaluation', 'evaluation', 'project', 'original', 0.60),
)
# From a heading to a key, and the factor from seconds or MB.
MEDIANS = {
    'import s': ('import', 1),
    'command s': ('command', 1),
    'peak memory MB': ('memory', 1),
    'step ms': ('step', 1000),
    'longest / median step': ('longest', 1),
    'evaluation s': ('evaluation', 1),
}
GROWTH = {'load s': ('load', 1), 'MB': ('memory', 1), 'batch ms': ('batch', 1000)}


def run(*arguments):
    """Runs contenders.py; returns its figures and 'process', the seconds of it all."""
    environment = dict(os.environ, KERAS_BACKEND='tensorflow')
    for name in ('OPENBLAS_CORETYPE', 'OPENBLAS_L2_SIZE'):  # NumPy's default is wanted
        environment.pop(name, None)
    command = [sys.executable, CONTENDERS, *arguments]
    start = time.perf_counter()
    process = subprocess.run(command, env=environment, text=True, capture_output=True)
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit('%s failed:\n%s' % (' '.join(arguments), process.stderr[-2000:]))
    return dict(json.loads(process.stdout), process=seconds)


def measure(jobs, rounds):
    """Runs all jobs in turn, round after round.

    Args:
        jobs: dict from any key to a function of contenders.py and the folder of data.
        rounds: int.

    Returns:
        dict from key to the figures of each round.
    """
    results = {key: [] for key in jobs}
    for number in range(rounds):
        for key, (function, data_dir) in jobs.items():
            with tempfile.TemporaryDirectory() as scratch:
                figures = run(function, data_dir, scratch)
            if 'import' in figures:
                figures['command'] = figures['process'] - figures['import']
            results[key].append(figures)
            message = 'round %d of %d: %s, %.1f s'
            tell(message % (number + 1, rounds, key, figures['process']))
    return results


def ratios(results):
    """Yields what, against, the ratio of each round, and the target, for each row."""
    for what, key, run_name, other, target in ROWS:
        ours = [figures[key] for figures in results[run_name]]
        if other is None:
            yield what, 'itself', ours, target
        elif other in results:
            theirs = [figures[key] for figures in results[other]]
            name = RUNS[other][1].split(',')[0]
            yield what, name, [a / b for a, b in zip(ours, theirs)], target


def cells(results, columns):
    """Returns the median of each column as text, '' where it wasn't measured."""
    values = [
        [figures[key] * factor for figures in results if key in figures]
        for key, factor in columns.values()
    ]
    return ['%.3g' % statistics.median(value) if value else '' for value in values]


def print_table(headings, rows):
    lines = [headings, ['---'] * len(headings), *rows]
    print('\n'.join('| %s |' % ' | '.join(line) for line in lines), end='\n\n')


def print_report(results, absent):
    rows = []
    for what, against, values, target in ratios(results):
        median = statistics.median(values)
        texts = ['%.2f' % x for x in (median, min(values), max(values), target)]
        met = 'yes' if median <= target else 'no'
        rows.append([what, against, texts[0], '..'.join(texts[1:3]), texts[3], met])
    headings = ['what', 'against', 'median ratio', 'spread', 'at most', 'met?']
    print_table(headings, rows)
    runs = [(RUNS[key][1], results[key]) for key in RUNS if key in results]
    rows = [[name] + cells(figures, MEDIANS) for name, figures in runs]
    print_table(['medians', *MEDIANS], rows)
    rows = [['%d x' % size] + cells(results[size], GROWTH) for size in SIZES]
    print_table(['examples', *GROWTH], rows)

    print("Command and memory are those above TensorFlow's import.")
    versions = ['Python ' + platform.python_version()]
    for name in PACKAGES:
        if name not in absent:
            versions.append('%s %s' % (name, importlib.metadata.version(name)))
    print('%s; %s' % (datetime.date.today(), ', '.join(versions)))
    print('%s, %d cores, %s' % (cpu_model(), os.cpu_count(), platform.system()))
    print('Not installed, so left out:', ', '.join(absent) or 'none')


def cpu_model():
    try:
        with open('/proc/cpuinfo') as f:
            return re.search('model name\\s*: (.*)', f.read()).group(1)
    except (OSError, AttributeError):
        return platform.processor() or platform.machine()


def plot(results, path):
    """Draws each median ratio as a bar, with its spread and its target."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    rows = [row for row in ratios(results) if row[1] != 'itself'][::-1]
    medians = [statistics.median(values) for _, _, values, _ in rows]
    spread = [
        [median - min(values) for median, (_, _, values, _) in zip(medians, rows)],
        [max(values) - median for median, (_, _, values, _) in zip(medians, rows)],
    ]
    figure, axes = pyplot.subplots(figsize=(8, 0.45 * len(rows) + 1.4), dpi=150)
    places = range(len(rows))
    label = 'median and spread'
    axes.barh(places, medians, 0.6, xerr=spread, ecolor='0.3', label=label)
    targets = [target for _, _, _, target in rows]
    heights = dict(ymin=[y - 0.4 for y in places], ymax=[y + 0.4 for y in places])
    axes.vlines(targets, **heights, color='tab:orange', linewidth=3, label='at most')
    axes.axvline(1, color='0.6', linewidth=1, zorder=0)
    labels = ['%s\nagainst %s' % (what, against) for what, against, _, _ in rows]
    axes.set_yticks(places, labels, fontsize='small')
    axes.set_xlabel('this repository / the other (1 is equal, less is better)')
    axes.spines[['top', 'right']].set_visible(False)
    figure.legend(loc='upper right', ncols=2, frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.93))
    figure.savefig(path)


def tell(message):
    print('benchmark:', message, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--input_data_dir', required=True, metavar='DIR')
    parser.add_argument('--rounds', type=int, default=5, metavar='N')
    parser.add_argument('--plot', metavar='FILE.png', help='draw the ratios')
    flags = parser.parse_args()

    absent = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    data_dir = os.path.abspath(flags.input_data_dir)
    jobs = {key: (key, data_dir) for key in RUNS if RUNS[key][0] not in absent}
    jobs[1] = 'growth', data_dir
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES[1:]:
            tell('writing the data %d times over' % size)
            larger_dir = os.path.join(folder, str(size))
            os.mkdir(larger_dir)
            run('repeated', data_dir, larger_dir, str(size))
            jobs[size] = 'growth', larger_dir
        results = measure(jobs, flags.rounds)
    print_report(results, absent)
    if flags.plot:
        plot(results, flags.plot)


if __name__ == '__main__':
    main()
