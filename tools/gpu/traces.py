"""Compares two safetensors files, tensor by tensor, in plain Python."""
import json
import math
import struct

TYPES = {'F64': ('d', 8), 'F32': ('f', 4), 'I64': ('q', 8), 'I32': ('i', 4), 'U8': ('B', 1)}


def read(path):
    with open(path, 'rb') as f:
        head = json.loads(f.read(struct.unpack('<Q', f.read(8))[0]))
        data = f.read()
    for name, entry in head.items():
        if name != '__metadata__':
            begin, end = entry['data_offsets']
            yield name, entry['dtype'], data[begin:end]


def values(dtype, data):
    letter, size = TYPES[dtype]
    return struct.unpack(f'<{len(data) // size}{letter}', data)


def difference(a, b):
    """|a - b| / |b| in the Euclidean norm; NaN counts as infinite."""
    size = math.sqrt(math.fsum(v * v for v in b))
    apart = math.sqrt(math.fsum((u - v) ** 2 for u, v in zip(a, b)))
    result = apart if size == 0 else apart / size
    return math.inf if math.isnan(result) else result


def worst_difference(reference, other):
    """(the largest difference, the tensor's name, how many tensors). Throws if the files do not hold the same tensors."""
    theirs = {name: (dtype, data) for name, dtype, data in read(other)}
    worst, where, count = 0.0, '', 0
    for name, dtype, data in read(reference):
        if name not in theirs or theirs[name][0] != dtype or len(theirs[name][1]) != len(data):
            raise ValueError(f'{other} has no {name} like that of {reference}')
        d = difference(values(dtype, theirs[name][1]), values(dtype, data))
        count += 1
        if d > worst or not where:
            worst, where = d, name
    if count != len(theirs) or count == 0:
        raise ValueError(f'{reference} has {count} tensors, {other} {len(theirs)}')
    return worst, where, count
