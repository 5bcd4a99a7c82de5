#include "apps/progress.h"

#include <doctest/doctest.h>

#include <sstream>

using namespace g2s;
using namespace g2s::app;

TEST_CASE("progress: text and styles") {
  CHECK(format_seconds(75) == "1:15");
  CHECK(format_seconds(4000) == "1:06:40");
  CHECK(format_seconds(-1) == "?");
  ProgressState state{.stage = "step1", .step = 3, .steps = 10, .loss = 0.25, .has_loss = true, .seconds = 5, .seconds_left = 65};
  CHECK(format_progress(state) == "step1  3/10  loss 0.2500  0:05 gone, 1:05 left");
  std::ostringstream quiet, lines, terminal;
  {
    ProgressPrinter a(quiet, ProgressPrinter::Style::quiet), b(lines, ProgressPrinter::Style::lines, 1000), c(terminal, ProgressPrinter::Style::terminal);
    for (ProgressPrinter* p : {&a, &b, &c}) {
      p->update(state, p == &b ? "x: " : "");
      p->update(state, p == &b ? "x: " : "");
    }
    ProgressState other = state;
    state.stage = "step2";
    b.update(state, "x: ");
    b.update(other, "y: ");  // of several at a time, each has its lines
    b.update(state, "x: ");
    b.update(other, "y: ");
    a.note("said");
  }
  CHECK(quiet.str() == "said\n");
  CHECK(lines.str() == "x: step1  3/10  loss 0.2500  0:05 gone, 1:05 left\nx: step2  3/10  loss 0.2500  0:05 gone, 1:05 left\n"
                     "y: step1  3/10  loss 0.2500  0:05 gone, 1:05 left\n");
  CHECK(terminal.str().find('\n') == std::string::npos);
  CHECK(terminal.str().find("step1  3/10") != std::string::npos);
}
