"""What the four scripts of a day with a GPU share: a list of steps with time limits, where the programs are, and one JSON of what became of each.

Options of every script:
  --dry-run        name the steps and run none
  --out DIR        where the JSON goes; $OUT, or else docs/benchmarks
  --seconds N      all of it (520)
  --emulated DIR   the build folder with the emulated programs, which stand in for the device; their cases are cut down
"""
import argparse
import concurrent.futures
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KIT = os.path.join(ROOT, 'build-gpu-kit')    # made elsewhere by make gpu-kit and carried here
BUILD = os.path.join(ROOT, 'build-gpu')
PROGRAMS = ['gan2shape', 'g2s_tests', 'g2s_bench']
TAIL = 1500  # characters of a failed step's output that are kept


def answer(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ''


def hardware():
    gpu = answer('nvidia-smi', '--query-gpu=name,driver_version,compute_cap,memory.total', '--format=csv,noheader').splitlines()
    with open('/proc/cpuinfo') as f:
        cpu = next((line.split(':', 1)[1].strip() for line in f if line.startswith('model name')), platform.processor())
    return {'gpu': gpu[0] if gpu else None, 'cpu': cpu, 'cores': os.cpu_count(), 'nvcc': (re.findall(r'V([\d.]+)', answer('nvcc', '--version')) or [None])[0]}


class Session:
    def __init__(self, part, what):
        p = argparse.ArgumentParser(description=what)
        p.add_argument('--dry-run', action='store_true')
        p.add_argument('--out', default=os.environ.get('OUT') or os.path.join(ROOT, 'docs', 'benchmarks'))
        p.add_argument('--seconds', type=float, default=520)
        p.add_argument('--emulated', default='')
        self.options = p.parse_args()
        self.dry, self.emulated, self.begin = self.options.dry_run, bool(self.options.emulated), time.time()
        self.folder = os.path.abspath(self.options.emulated) if self.emulated else ''
        self.environment = dict(os.environ, G2S_SOURCE_DIR=ROOT, GAN2SHAPE_ASSETS=os.path.join(ROOT, 'assets'))
        self.environment.pop('OUT', None)
        self.doc = {'part': part, 'what': what, 'date': datetime.datetime.now().isoformat(timespec='minutes'), 'machine': None if self.dry else hardware(),
                    'emulated': self.emulated, 'steps': {}}
        gpu = (self.doc['machine'] or {}).get('gpu') or 'none'
        name = 'emulated' if self.emulated else re.sub(r'[^a-z0-9]+', '_', gpu.split(',')[0].lower()).strip('_')
        self.path = os.path.join(self.options.out, f'{part}_{self.doc["date"][:10]}_{name}.json')
        self.lock = threading.Lock()  # steps may run side by side
        if not self.dry:
            os.makedirs(self.options.out, exist_ok=True)

    def left(self):
        return self.options.seconds - (time.time() - self.begin)

    def program(self, name):
        return os.path.join(self.folder, 'bin', name + ('_emulated' if self.emulated else ''))

    def write(self):
        self.doc['wall_s'] = round(time.time() - self.begin, 1)
        with open(self.path + '.part', 'w') as f:
            json.dump(self.doc, f, indent=1)
            f.write('\n')
        os.replace(self.path + '.part', self.path)

    def note(self, name, status, **facts):
        with self.lock:
            self.doc['steps'][name] = {'status': status, **facts}
            print(f'{name:44s} {status:8s} {facts.get("seconds", "")!s:>7} {facts.get("reason", "")}', flush=True)
            self.write()

    def skip(self, name, reason):
        if self.dry:
            print(f'  {name}: skipped: {reason}')
        else:
            self.note(name, 'skipped', reason=reason)

    def step(self, name, command, seconds, read=None, environment=None, judge=None):
        """Runs a command for so long at most. read(output) gives facts to keep, judge(code, output) its status. Gives the output, None if it failed."""
        shown = ' '.join(f'{k}={v}' for k, v in (environment or {}).items()) + ' ' + ' '.join(command)
        if self.dry:
            print(f'  {name}, {seconds} s at most: {shown.strip().replace(ROOT + "/", "")}')
            return ''
        limit = min(seconds, self.left())
        if limit < 2:
            return self.note(name, 'skipped', reason='no time is left')
        begin = time.time()
        try:
            done = subprocess.run(command, cwd=ROOT, env={**self.environment, **(environment or {})}, timeout=limit, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
            output, status = done.stdout, (judge or (lambda code, text: 'passed' if code == 0 else 'failed'))(done.returncode, done.stdout)
        except subprocess.TimeoutExpired as e:
            output, status = (e.stdout or b'').decode(errors='replace') if isinstance(e.stdout, bytes) else e.stdout or '', 'timeout'
        except OSError as e:
            output, status = str(e), 'failed'
        facts = {'seconds': round(time.time() - begin, 1)}
        if status != 'passed':
            facts['output'] = output[-TAIL:]
        try:
            facts.update(read(output) if read else {})
        except (ValueError, KeyError, IndexError, OSError) as e:
            status = 'failed'
            facts.update(reason=f'its output was not understood: {e!r}', output=output[-TAIL:])
        self.note(name, status, **facts)
        return output if status == 'passed' else None

    def together(self, calls, jobs):
        """Runs several steps side by side: calls of no argument."""
        with concurrent.futures.ThreadPoolExecutor(1 if self.dry else jobs) as pool:
            return list(pool.map(lambda call: call(), calls))

    def programs(self):
        """Finds or builds the three programs. Ends the script if there are none."""
        if self.emulated:
            return
        for folder, seconds, what in ((KIT, 0, 'carried along'), (BUILD, 420, 'built here')):
            self.folder = folder
            if folder == KIT:
                self.environment['LD_LIBRARY_PATH'] = os.pathsep.join(filter(None, [os.environ.get('LD_LIBRARY_PATH'), os.path.join(KIT, 'lib')]))
                if self.dry:
                    print(f'  programs: {os.path.basename(KIT)}/bin, if it is there and runs; else:')
                elif all(self.runs(name) for name in PROGRAMS):
                    self.note('programs', 'passed', reason=what)
                    return
                self.environment['LD_LIBRARY_PATH'] = os.environ.get('LD_LIBRARY_PATH', '')
                continue
            arch = (answer('nvidia-smi', '--query-gpu=compute_cap', '--format=csv,noheader').splitlines() or ['9.0'])[0].replace('.', '')
            jobs = str(os.cpu_count())
            self.step('packages', ['sh', 'tools/setup.sh'], 120)
            configured = self.step('configure', ['cmake', '--preset', 'cpu', '-B', BUILD, '-DG2S_CUDA=ON', f'-DG2S_CUDA_ARCHITECTURES={arch}-real'], 60)
            built = configured is not None and self.step('build', ['cmake', '--build', BUILD, '-j', jobs, *(f'--target={p}' for p in PROGRAMS)], seconds)
            if built is None or built is False:
                self.finish('there are no programs to run: carry build-gpu-kit here (make gpu-kit), or install what tools/setup.sh names')

    def runs(self, name):
        return subprocess.run([self.program(name), '--help'], env=self.environment, capture_output=True).returncode == 0 if os.path.exists(self.program(name)) else False

    def finish(self, reason=''):
        if self.dry:
            sys.exit(0)
        states = [row['status'] for row in self.doc['steps'].values()]
        self.doc['summary'] = {state: states.count(state) for state in sorted(set(states))}
        if reason:
            self.doc['reason'] = reason
        self.write()
        print(f'{self.path}: {self.doc["summary"]} in {self.doc["wall_s"]} s{", " + reason if reason else ""}')
        sys.exit(1 if reason or 'failed' in states or 'timeout' in states else 0)


def families():
    """Operator families that run on the device, with their cases, as kernels/<family>/cases.json has them."""
    folder = os.path.join(ROOT, 'kernels')
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name, 'cases.json')
        if os.path.exists(path):
            with open(path) as f:
                yield name, json.load(f)['cases']
        elif os.path.exists(os.path.join(folder, name, name + '.cu')):
            yield name, []


def smallest_of_each(cases):
    """Of each operator the smallest case with derivatives, by its inputs."""
    def size(case):
        total = 0
        for x in case['inputs']:
            n = 1
            for extent in (x or {}).get('shape', []):
                n *= extent
            total += n
        return (not case.get('grad'), total)
    chosen = {}
    for case in sorted(cases, key=size):
        chosen.setdefault(case['op'], case['name'])
    return sorted(chosen.values())


def doctest_counts(output):
    """What doctest says at its end; a filter that matches nothing is a mistake."""
    counts = re.findall(r'test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed', output)
    if not counts or counts[-1][0] == '0':
        raise ValueError('no test case ran')
    return {'cases': int(counts[-1][0]), 'cases_failed': int(counts[-1][2])}


def last_json(output):
    return json.loads(output.strip().splitlines()[-1])


def which(name):
    return shutil.which(name)
