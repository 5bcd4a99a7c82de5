// The table of accuracies that evaluate and reconstruct print.
#pragma once

#include <iosfwd>

#include "models/gan2shape/evaluation.h"

namespace g2s::app {

// One line per image and one of means, SIDE times 100.
void print_table(std::ostream& out, const MetricRows& rows);

void print_phases(std::ostream& out, const MetricRows& phases);

}  // namespace g2s::app
