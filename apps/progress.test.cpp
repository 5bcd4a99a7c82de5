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
      p->update(state, p == &b ? Work{"x"} : Work{});
      p->update(state, p == &b ? Work{"x"} : Work{});
    }
    ProgressState other = state;
    state.stage = "step2";
    b.update(state, {"x"});
    b.update(other, {"y"});  // of several at a time, each has its lines
    b.update(state, {"x"});
    b.update(other, {"y"});
    a.note("said");
  }
  CHECK(quiet.str() == "said\n");
  CHECK(lines.str() == "x: step1  3/10  loss 0.2500  0:05 gone, 1:05 left\nx: step2  3/10  loss 0.2500  0:05 gone, 1:05 left\n"
                     "y: step1  3/10  loss 0.2500  0:05 gone, 1:05 left\n");
  CHECK(terminal.str().find('\n') == std::string::npos);
  CHECK(terminal.str().find("step1  3/10") != std::string::npos);
}

namespace {

Running fit(const std::string& name, std::size_t number, std::size_t of, std::int64_t step) {
  return {{name, number, of}, {.stage = "stage 1/2 step2", .step = step, .steps = 200, .loss = 0.4, .has_loss = true, .seconds = 5, .seconds_left = 65}};
}

}  // namespace

TEST_CASE("progress: pictures are counted, and on a terminal all that are under way are in one line that fits it") {
  const std::vector<Running> one = {fit("face", 3, 6, 50)}, two = {fit("face", 3, 6, 50), fit("head", 4, 6, 100)};
  CHECK(one_line(one, 100) == "picture 3 of 6, face: stage 1/2 step2  50/200  loss 0.4000  0:05 gone, 1:05 left");
  CHECK(one_line({fit("face", 0, 1, 50)}, 100) == "face: stage 1/2 step2  50/200  loss 0.4000  0:05 gone, 1:05 left");
  CHECK(one_line(one, 60) == "3/6 face: stage 1/2 step2  50/200, 1:05 left");
  CHECK(one_line(two, 100) == "3/6 face: stage 1/2 step2  50/200, 1:05 left | 4/6 head: stage 1/2 step2  100/200, 1:05 left");
  CHECK(one_line(two, 90) == "3/6 face: stage 1/2 step2 25%, 1:05 left | 4/6 head: stage 1/2 step2 50%, 1:05 left");
  CHECK(one_line(two, 70) == "3/6 face: stage 1/2 step2 25% | 4/6 head: stage 1/2 step2 50%");
  CHECK(one_line(two, 30) == "3/6 25% | 4/6 50%");
  CHECK(one_line(two, 10) == "3/6 25% |…");
  std::vector<Running> many;
  for (std::size_t i = 1; i <= 64; ++i) many.push_back(fit("\u5199\u771f with a long name", i, 99, 7));
  for (int width : {0, 1, 2, 20, 79, 119, 1000, 2000, 10000}) CHECK(columns_of(one_line(many, width)) <= width);
  CHECK(columns_of("\u5199\u771f e\u0301") == 6);
}

TEST_CASE("progress: on a terminal finished work leaves the line, and notes go above it") {
  std::ostringstream out;
  ProgressPrinter printer(out, ProgressPrinter::Style::terminal, 30, 80);
  printer.update(fit("a", 1, 2, 10).state, {"a", 1, 2});
  printer.update(fit("b", 2, 2, 20).state, {"b", 2, 2});
  CHECK(out.str().ends_with("\r1/2 a: stage 1/2 step2 5%, 1:05 left | 2/2 b: stage 1/2 step2 10%, 1:05 left\x1b[K"));
  printer.finish({"a", 1, 2});
  const std::string last = "\rpicture 2 of 2, b: stage 1/2 step2  20/200  loss 0.4000  0:05 gone, 1:05 left\x1b[K";
  CHECK(out.str().ends_with(last));
  printer.note("said");
  CHECK(out.str().ends_with("\r\x1b[Ksaid\n" + last));
  printer.finish({"b", 2, 2});
  CHECK(out.str().ends_with("\r\x1b[K"));
}

TEST_CASE("progress: without a terminal there is a line for each stage of each picture, and no more") {
  std::ostringstream out;
  ProgressPrinter printer(out, ProgressPrinter::Style::stages, 0);
  ProgressState state{.stage = "step1", .step = 1, .steps = 2, .seconds = 5};
  printer.update(state, {"a", 1, 2});
  printer.update(state, {"a", 1, 2});
  state.stage = "step2";
  printer.update(state, {"a", 1, 2});
  CHECK(out.str() == "picture 1 of 2, a: step1  1/2  0:05 gone\npicture 1 of 2, a: step2  1/2  0:05 gone\n");
}
