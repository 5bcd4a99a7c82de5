def run(op, attrs, inputs):
    x = inputs[0]
    if op == 'sum_all':
        return x.sum()
    if op == 'mean_all':
        return x.mean()
    if op in ('sum', 'mean'):
        axes = attrs['axes']
        return getattr(x, op)(axes, keepdim=attrs.get('keepdim', False)) if axes else x * 1
    if op == 'broadcast_to':
        return x.expand(attrs['shape']) * 1
    if op == 'dot_to':
        x = x * inputs[1]
    return x.sum_to_size(attrs['shape']) if attrs['shape'] else x.sum()
