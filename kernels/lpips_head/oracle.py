def run(op, attrs, inputs):
    a, b, head = inputs
    unit = [x / ((x ** 2).sum(-1, keepdim=True).sqrt() + 1e-10) for x in (a, b)]
    return ((unit[0] - unit[1]) ** 2 * head).sum(-1).mean((1, 2))
