def run(op, attrs, inputs):
    x = inputs[0]
    dy, dx = x.diff(dim=1), x.diff(dim=2)
    return sum(d.abs().mean() for d in (dx.diff(dim=2), dx.diff(dim=1), dy.diff(dim=2), dy.diff(dim=1)))
