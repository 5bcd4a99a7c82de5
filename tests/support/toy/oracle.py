def run(op, attrs, inputs):
    a, b = inputs
    return attrs.get('factor', 1.0) * a * a * (a if b is None else b)
