"""Installs the three modules, twice, MNIST, and the command fully_connected_feed."""

import os
import sys
import tempfile

from setuptools import setup
from setuptools.command.build_py import build_py

with open('README.md', encoding='utf-8') as f:
    long_description = f.read()

# Also where TensorFlow 1.x had them, so that `from tensorflow.examples.tutorials.mnist
# import input_data` works. TensorFlow 1.x itself, which needs Python 3.7, has its own.
package = 'tensorflow.examples.tutorials.mnist'
modules = ['mnist', 'input_data', 'fully_connected_feed']
python_tag = 'py37'
if sys.version_info >= (3, 8):
    modules += ['%s.%s' % (package, module) for module in modules]
    python_tag = 'py38'  # and later; on 3.7, the wheel would replace TensorFlow's files

# Not build/, of which setuptools would install what an earlier build left.
build_base = tempfile.TemporaryDirectory()


class BuildPackage(build_py):
    """Adds an __init__.py as TensorFlow 1.x had it, for `mnist.input_data`.

    It leaves mnist out, whose import switches TensorFlow 2 off.
    """

    def run(self):
        super().run()
        folder = os.path.join(self.build_lib, *package.split('.'))
        if os.path.isdir(folder):
            with open(os.path.join(folder, '__init__.py'), 'w') as f:
                f.write('from %s import input_data\n' % package)


setup(
    name='tensorflow-mechanics-101',
    version='1.3.0',
    description='The MNIST tutorial of TensorFlow 1.x on the TensorFlow of today',
    long_description=long_description,
    long_description_content_type='text/markdown',
    license='Apache-2.0 AND CC-BY-SA-3.0',  # the code, and MNIST
    keywords='tensorflow mnist input_data read_data_sets tutorial',
    classifiers=[
        'Development Status :: 5 - Production/Stable',
        'Intended Audience :: Developers',
        'Intended Audience :: Education',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Programming Language :: Python :: 3',
    ]
    + ['Programming Language :: Python :: 3.%d' % minor for minor in range(7, 15)],
    python_requires='>=3.7',
    py_modules=modules,
    packages=['MNIST_data'],  # no module in it, but a folder beside input_data.py
    package_data={'MNIST_data': ['*.gz', 'README.md']},
    package_dir={'': '.', package: '.'},
    cmdclass={'build_py': BuildPackage},
    options={
        'build': {'build_base': build_base.name},
        'bdist_wheel': {'python_tag': python_tag},
    },
    entry_points={
        'console_scripts': ['fully_connected_feed = fully_connected_feed:main']
    },
    install_requires=[
        'tensorflow>=1.14',
        'tensorboard',  # TensorFlow 2.21 no longer brings it
        'numpy',
        'six',
        'filelock',  # one run in a log directory
        'certifi',  # downloads: the certificates ...
        'tqdm',  # ... and their progress
    ],
    extras_require={
        # What TensorFlow before 2.21 needs and does not ask for itself.
        'older': [
            'protobuf<3.21; python_version < "3.9"',
            'numpy<2; python_version < "3.11"',
            'setuptools<82',
        ],
        'test': [
            'pytest',
            'hypothesis',
            'nbclient',  # notebooks: runs them, ...
            'nbformat',  # ... reads them, ...
            'ipykernel',  # ... and is what they run in
        ],
        'dev': [
            'ruff>=0.17,<0.18',
            'selenium',  # TensorBoard in a browser
            'build',
        ],
        'plot': ['matplotlib'],
    },
)
