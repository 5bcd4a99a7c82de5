#!/usr/bin/env python3
"""Writes the sequences of calls that tests/fuzz/c_api.fuzz.cc starts from, tests/fuzz/corpus/c_api/. That file says what the bytes mean."""
import os

HERE = os.path.dirname(os.path.abspath(__file__))

# The first byte of each call, and that of usual arrays; 12 more for each change, whose bytes follow.
(NEW_CONTEXT, FREE_CONTEXT, CANCEL, RESUME, DESCRIBE, FREE_TEXT, TAKE, SHARE, VIEW, FREE_TENSOR, LOAD, _, FREE_GENERATOR, INFO, MAPPING, MEAN, PICTURE, _,
 VJP, _, READ, WRITE, DISTANCE, GRADIENT, MASK, FIT) = range(26)
W, W_PLUS, PICTURES, ONE_PICTURE, ONE_W, MEAN_W, FIRST_PICTURE, NO_W, SCALAR, COMPARED, ONE_DISTANCE, ONE_COMPARED = range(12)
NULL_ARRAY, NULL_HANDLE, OTHER_HANDLE, ANY_HANDLE = 255, 224, 232, 255
DTYPE, SHAPE, STRIDE, NO_DATA, MOVED, RANK, DEVICE, INDEX, BACKWARDS = range(9)
MOST, LEAST, U8, F16 = 128, 129, 6, 4


def changed(array, *changes):
    """changes: (what, axis, value) or (what, axis)"""
    return [array + 12 * len(changes)] + [byte for what, axis, *value in changes for byte in [what + 9 * axis] + value]


START = [NEW_CONTEXT, 0, LOAD, 0, 0, 0]  # a context without changes, and the tiny generator

SEQUENCES = {
    'contexts': [NEW_CONTEXT, 1, 3, 5, NEW_CONTEXT, 1, 1, 2, NEW_CONTEXT, 2, 0, 2, 2, 2, NEW_CONTEXT, 1, 6, 9, 1, DESCRIBE, 0, FREE_TEXT, 0,
                 CANCEL, 0, RESUME, 0, FREE_CONTEXT, 0, DESCRIBE, 0],
    'draws': START + [INFO, 0, 16, PICTURE, 0, W, PICTURES, PICTURE, 0, W_PLUS, PICTURES, VJP, 0, W, PICTURES, PICTURES, W, MEAN, 0, MEAN_W, 3, 50],
    'views': START + [PICTURE, 0] + changed(W, (BACKWARDS, 1)) + changed(PICTURES, (DTYPE, 0, U8)) + [MAPPING, 0] +
             changed(W, (STRIDE, 0, 0), (DTYPE, 0, F16)) + [W, PICTURE, 0, ONE_W, ONE_PICTURE, PICTURE, 0, NO_W] + changed(PICTURES, (SHAPE, 0, 0)),
    'wrong': START + [PICTURE, 0] + changed(W, (SHAPE, 0, MOST)) + changed(PICTURES, (SHAPE, 0, MOST)) + [PICTURE, 0] +
             changed(W, (STRIDE, 0, LEAST)) + [PICTURES, PICTURE, 0] + changed(W, (NO_DATA, 0)) + [PICTURES, PICTURE, 0, W] +
             changed(PICTURES, (STRIDE, 2, 1)) + [MAPPING, 0] + changed(W, (MOVED, 1)) + [W, MAPPING, 0] + changed(W, (RANK, 0, 7)) + [W] +
             [VJP, 0, W] + changed(PICTURES, (DEVICE, 0, 2)) + [NULL_ARRAY, W, PICTURE, 0, NULL_ARRAY, NULL_ARRAY],
    'handles': START + [FREE_CONTEXT, 0, PICTURE, 0, W, PICTURES, FREE_GENERATOR, 0, PICTURE, 0, W, PICTURES, FREE_GENERATOR, 0, PICTURE, NULL_HANDLE, W,
                        PICTURES, PICTURE, OTHER_HANDLE, W, PICTURES, PICTURE, ANY_HANDLE, 3, 0, 0, 0, 0, 0, 0, 1, W, PICTURES],
    'cancelled': START + [CANCEL, 0, PICTURE, 0, W, PICTURES, MEAN, 0, MEAN_W, 0, 5, RESUME, 0, PICTURE, 0, W, PICTURES],
    'compared': START + [DISTANCE, 0, COMPARED, COMPARED, ONE_DISTANCE, DISTANCE, 0, ONE_COMPARED, COMPARED, SCALAR, GRADIENT, 0, COMPARED, COMPARED,
                         NULL_ARRAY, COMPARED, NULL_ARRAY, MASK, 0, ONE_COMPARED, W],
    'no_fit': START + [byte for which in range(9) for byte in (FIT, 0, which, 4)] + [FIT, NULL_HANDLE, 0, 1],
    'dlpack': [TAKE, W, 1, 2, 2, SHARE, 0, VIEW, 0, 1, FREE_TENSOR, 0, FREE_TENSOR, 0, TAKE] + changed(W, (STRIDE, 0, 9)) + [1, 2, 2, TAKE] +
              changed(W, (SHAPE, 0, MOST), (SHAPE, 1, MOST)) + [0, 2, 2, TAKE, W, 0, 4, 1],
    'pictures': [READ, NULL_HANDLE, 6, READ, NULL_HANDLE, 0, READ, NULL_HANDLE, 2, WRITE, NULL_HANDLE, ONE_PICTURE, 4, READ, NULL_HANDLE, 6, WRITE,
                 NULL_HANDLE] + changed(ONE_PICTURE, (BACKWARDS, 1), (DTYPE, 0, U8)) + [4, WRITE, NULL_HANDLE, W, 4, WRITE, NULL_HANDLE, ONE_PICTURE, 1],
}


def main():
    folder = os.path.join(HERE, 'corpus', 'c_api')
    os.makedirs(folder, exist_ok=True)
    for name, sequence in SEQUENCES.items():
        with open(os.path.join(folder, name), 'wb') as out:
            out.write(bytes(sequence))


if __name__ == '__main__':
    main()
