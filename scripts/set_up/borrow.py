"""Gets Python.h and g++ from Debian packages without installing them.

A machine with Debian's python3, gcc, cmake and make alone has neither, and building a message
package needs both. The packages are downloaded by apt-get, with package lists of our own so that
it works without root, and unpacked into the virtual environment; the machine stays as it is.
"""

from __future__ import annotations

import os
from pathlib import Path
import shutil

from environment import Environment, link
from machine import say, SetUpError


def borrow_headers(environment: Environment, version: tuple[int, int],
                   variables: dict[str, str]) -> Path:
    """Get Python's C headers; return their folder and make `variables` point to them."""
    name = f'python{version[0]}.{version[1]}'
    root = _unpack(environment, 'Python.h', 'python3-dev', [f'lib{name}-dev'])
    _prepend(variables, 'CPATH', root / 'usr' / 'include')  # pyconfig.h includes a path below it
    return root / 'usr' / 'include' / name


def borrow_compiler(environment: Environment, variables: dict[str, str]) -> None:
    """Get the C++ compiler that belongs to the installed gcc and make `variables` name it."""
    major = environment.run('gcc', '-dumpversion').split('.')[0].strip()
    target = environment.run('gcc', '-dumpmachine').strip()
    names = [f'g++-{major}', f'g++-{major}-{target.replace("_", "-")}', f'libstdc++-{major}-dev']
    root = _unpack(environment, 'g++', 'g++', names)
    libraries = environment.run('gcc', '-print-libgcc-file-name').strip()
    programs = environment.run('gcc', '-print-prog-name=cc1').strip()
    for folder in {Path(libraries).resolve().parent, Path(programs).resolve().parent}:
        _complete(root, folder)
    variables['CXX'] = str(root / 'usr' / 'bin' / f'g++-{major}')


def _complete(root: Path, installed: Path) -> None:
    """Link what the unpacked twin of an installed folder lacks.

    A compiler that was moved looks for all of gcc's parts beside itself, and libstdc++.so leads
    to a library that the machine itself has.
    """
    unpacked = root / installed.relative_to('/')
    unpacked.mkdir(parents=True, exist_ok=True)
    for file in installed.iterdir():
        if not os.path.lexists(unpacked / file.name):
            link(unpacked / file.name, file)
    for file in unpacked.iterdir():
        if file.is_symlink() and not file.exists():
            aim = Path(os.path.normpath(unpacked / os.readlink(file)))
            link(file, Path('/') / aim.relative_to(root))


def _prepend(variables: dict[str, str], name: str, folder: Path) -> None:
    variables[name] = os.pathsep.join(filter(None, [str(folder), variables.get(name, '')]))


def _unpack(environment: Environment, what: str, package: str, names: list[str]) -> Path:
    """Download those of the Debian packages `names` that exist; return where they are unpacked."""
    missing = f'building vision_msgs needs {what}, which is missing: apt-get install {package}'
    if not all(map(shutil.which, ('apt-get', 'apt-cache', 'dpkg-deb'))):
        raise SetUpError(missing)
    say(f'{what} is not installed: borrowing it from Debian packages, without installing them')
    folder = environment.scratch / 'borrowed'
    for part in ('lists/partial', 'cache/archives/partial', package):
        (folder / part).mkdir(parents=True, exist_ok=True)
    own = ['-o', f'Dir::State::Lists={folder / "lists"}', '-o', f'Dir::Cache={folder / "cache"}',
           '-o', 'Debug::NoLocking=1', '-o', f'Dir::State::status={folder / "status"}', '-qq']
    (folder / 'status').touch()
    try:
        environment.run('apt-get', *own, 'update')
        known = environment.run('apt-cache', *own, 'pkgnames').split()
        found = [name for name in names if name in known]
        environment.run('sh', '-c', 'cd "$1" && shift && exec apt-get "$@"', 'sh',
                        folder / package, *own, 'download', *found)
        for deb in (folder / package).glob('*.deb'):
            environment.run('dpkg-deb', '-x', deb, folder / 'root')
    except SetUpError as error:
        raise SetUpError(f'{missing}\n(borrowing it failed: {error})') from error
    return folder / 'root'
