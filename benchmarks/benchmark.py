"""Compares this repository with other ways to train the same model on a CPU.

    python benchmarks/benchmark.py [--rounds N] [--plot FILE.png]

Each contender is a whole process: it reads MNIST, trains for 2000 steps, evaluates all
three data sets twice and saves the model. They run in turn, round after round, and
ratios are taken within a round. For Linux.
"""

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from statistics import median

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGES = ('tensorflow', 'keras', 'torch', 'jax', 'numpy', 'matplotlib')

# Python's arguments for each job. A job with the name of a package needs that package.
JOBS = {
    'copies': '{root}/benchmarks/contenders.py copies {data} {copies}',
    'import': '-c "import tensorflow.compat.v1"',
    'project': '{root}/fully_connected_feed.py --input_data_dir {data} --log_dir .',
    'original': '{root}/benchmarks/contenders.py original {data}',
    'torch': '{root}/benchmarks/contenders.py torch {data}',
    'jax': '{root}/benchmarks/contenders.py jax {data}',
    'keras': '{root}/benchmarks/contenders.py keras {data}',
    'project step': '{root}/benchmarks/contenders.py step {data} project',
    'original step': '{root}/benchmarks/contenders.py step {data} original',
    '1 x MNIST': '{root}/benchmarks/contenders.py growth {copies}/1',
    '4 x MNIST': '{root}/benchmarks/contenders.py growth {copies}/4',
    '10 x MNIST': '{root}/benchmarks/contenders.py growth {copies}/10',
}
# What is compared, with what, the two jobs, and their figure.
ORIGINAL = "the original's habits"
ROWS = (
    ('whole command', ORIGINAL, 'project', 'original', 's'),
    ('whole command', 'PyTorch with a DataLoader', 'project', 'torch', 's'),
    ('whole command', 'JAX jit', 'project', 'jax', 's'),
    ('whole command', 'Keras fit and evaluate', 'project', 'keras', 's'),
    ('peak memory above the import', ORIGINAL, 'project', 'original', 'MB above'),
    ('training step with its batch', ORIGINAL, 'project step', 'original step', 'ms'),
)
GROWTH = ('load s', 'MB', 'batch ms', 'longest batch ms')


def run(name, places):
    """Runs a job in an empty folder; returns s, MB, and the figures that it prints."""
    path = ROOT + os.pathsep + os.environ.get('PYTHONPATH', '')
    environment = dict(os.environ, PYTHONPATH=path, KERAS_BACKEND='tensorflow')
    for variable in 'OPENBLAS_CORETYPE', 'OPENBLAS_L2_SIZE':
        environment.pop(variable, None)  # NumPy's default is wanted
    words = [word.format(root=ROOT, **places) for word in shlex.split(JOBS[name])]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile('w+') as err:
        options = dict(cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=err)
        start = time.perf_counter()
        with subprocess.Popen([sys.executable, *words], **options) as process:
            printed = re.findall(b'{.+}', process.stdout.read()) or ['{}']
            _, process.returncode, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        if process.returncode:
            err.seek(0)
            sys.exit('benchmark: %s failed:\n%s' % (name, err.read()[-2000:]))
    return dict(json.loads(printed[-1]), s=seconds, MB=usage.ru_maxrss / 1024)


def measure(names, places, rounds):
    """Runs all jobs in turn; returns a dict from name to the figures of each round."""
    results = {name: [] for name in names}
    for number in range(rounds + 1):
        for name in names:
            figures = run(name, places)
            results[name].append(figures)
            for key in 's', 'MB':
                figures[key + ' above'] = figures[key] - results['import'][-1][key]
            print('round', number, name, '%.1f s' % figures['s'], file=sys.stderr)
    return {name: results[name][1:] for name in names}  # round 0 fills the disk cache


def compare(results):
    """Yields what, against, median ratio, least, most, both medians, and their unit."""
    for what, against, *names, key in ROWS:
        if names[1] in results:
            ours, theirs = [[each[key] for each in results[name]] for name in names]
            ratios = [a / b for a, b in zip(ours, theirs)]
            spread = median(ratios), min(ratios), max(ratios)
            yield (what, against, *spread, median(ours), median(theirs), key.split()[0])


def print_report(rows, results, absent):
    print('| what | against | ratio | spread | here | there | unit |')
    print('|---|---|---|---|---|---|---|')
    for row in rows:
        print('| %s | %s | %.2f | %.2f..%.2f | %.3g | %.3g | %s |' % row)
    print('\n| training examples |', ' | '.join(GROWTH), '|\n|---|---|---|---|---|')
    for name in [name for name in results if name.endswith('MNIST')]:
        medians = [median(each[key] for each in results[name]) for key in GROWTH]
        print('| %s | %.3g | %.3g | %.3g | %.3g |' % (name, *medians))
    versions = ['Python ' + platform.python_version()]
    versions += [name + ' ' + version(name) for name in PACKAGES if name not in absent]
    with open('/proc/cpuinfo') as f:
        cpu = re.search('model name\\s*: (.*)', f.read())
    print('\npython', shlex.join(sys.argv))
    print(time.strftime('%Y-%m-%d:'), ', '.join(versions))
    print(cpu[1] if cpu else platform.machine(), 'with', os.cpu_count(), 'cores')
    print('Not installed, so left out:', ', '.join(absent) or 'none')


def plot(rows, path):
    """Draws each median ratio as a bar, with its spread."""
    import numpy as np
    from matplotlib.figure import Figure

    what, against, ratios, least, most, *_ = zip(*rows)
    labels = ['%s\nagainst %s' % pair for pair in zip(what, against)]
    spread = np.subtract([ratios, most], [least, ratios])
    axes = Figure(figsize=(8, 0.5 * len(rows) + 1), dpi=150).add_subplot()
    bars = axes.barh(labels, ratios, xerr=spread, ecolor='0.3', capsize=3)
    axes.bar_label(bars, fmt='%.2f', padding=6)
    axes.axvline(1, color='0.6', linewidth=1, zorder=0)
    axes.margins(x=0.15)  # room for the figures
    axes.invert_yaxis()
    axes.set_xlabel('this repository / the other: median and spread, less is better')
    axes.spines[['top', 'right']].set_visible(False)
    axes.figure.savefig(path, bbox_inches='tight')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    data = os.path.join(ROOT, 'MNIST_data')
    parser.add_argument('--input_data_dir', default=data, metavar='DIR')
    parser.add_argument('--rounds', type=int, default=5, metavar='N')
    parser.add_argument('--plot', metavar='FILE.png', help='draw the ratios')
    flags = parser.parse_args()
    absent = [name for name in PACKAGES if find_spec(name) is None]
    if flags.rounds < 1 or flags.plot and 'matplotlib' in absent:
        parser.error('--rounds must be 1 or more, and --plot needs matplotlib')

    with tempfile.TemporaryDirectory() as copies:
        places = dict(data=os.path.abspath(flags.input_data_dir), copies=copies)
        run('copies', places)
        names = [name for name in JOBS if name not in ('copies', *absent)]
        results = measure(names, places, flags.rounds)
    rows = list(compare(results))
    print_report(rows, results, absent)
    if flags.plot:
        plot(rows, flags.plot)


if __name__ == '__main__':
    main()
