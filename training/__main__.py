"""`python -m training VERB`: train and choose weights, inspect and simulate data."""

from __future__ import annotations

import argparse
import importlib
import sys

from thermal_perception.errors import ThermalPerceptionError

VERBS = {
    'choose': 'find threshold and overlap of weights on dev',
    'fit': 'train a model from a YAML file',
    'inspect': 'count, check and draw a data set',
    'release': 'write the shipped weights and their card',
    'report': 'one HTML page about a run or a checkpoint',
    'simulate': 'render an annotated data set',
    'simulate-v2x': 'render crossings seen by a vehicle and a pole, as DAIR-V2X-C',
    'sweep': 'find what a model of vehicle and roadside bears',
}


def main(argv: list[str] | None = None) -> int:
    """Run one verb; errors are one sentence on stderr."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog='python -m training', description=__doc__)
    verbs = parser.add_subparsers(dest='verb', required=True)
    for verb, text in VERBS.items():
        sub = verbs.add_parser(verb, help=text, description=text)
        if argv[:1] == [verb]:  # only the chosen verb's module is imported
            module = importlib.import_module(f'training.{verb.replace("-", "_")}')
            module.add_arguments(sub)
            sub.set_defaults(run_verb=module.run)
    args = parser.parse_args(argv)
    try:
        return int(args.run_verb(args) or 0)
    except (ThermalPerceptionError, FloatingPointError) as error:
        print(f'python -m training {args.verb}: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
