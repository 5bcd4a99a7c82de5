#include "apps/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>

#include "engine/error.h"
#include "engine/shown.h"

namespace g2s::app {
namespace {

constexpr std::chrono::milliseconds terminal_interval(100);

int terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string format_seconds(double seconds) {
  if (!(seconds >= 0) || seconds > 1e7) return "?";
  long s = std::lround(seconds);
  char text[32];
  if (s >= 3600) std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  else std::snprintf(text, sizeof text, "%ld:%02ld", s / 60, s % 60);
  return text;
}

std::string format_progress(const ProgressState& state) {
  std::string text = str(state.stage, "  ", state.step, "/", state.steps);
  if (state.has_loss) {
    char loss[32];
    std::snprintf(loss, sizeof loss, "  loss %.4f", state.loss);
    text += loss;
  }
  text += "  " + format_seconds(state.seconds) + " gone";
  if (state.seconds_left >= 0) text += ", " + format_seconds(state.seconds_left) + " left";
  return text;
}

std::string format_work(const Work& work) {
  if (work.name.empty()) return {};
  return (work.of > 1 ? str("picture ", work.number, " of ", work.of, ", ") : "") + shown(work.name) + ": ";
}

ProgressPrinter::ProgressPrinter(std::ostream& out, Style style, double interval, int width)
    : out_(out), style_(style), interval_(interval), width_(width) {
  if (style_ == Style::automatic) style_ = ::isatty(STDERR_FILENO) ? Style::terminal : Style::stages;
}

ProgressPrinter::~ProgressPrinter() { clear(); }

void ProgressPrinter::update(const ProgressState& state, const Work& work) {
  if (style_ == Style::quiet || style_ == Style::warnings) return;
  std::lock_guard lock(mutex_);
  Shown& last = shown_of_[work.name];
  const auto now = std::chrono::steady_clock::now();
  const bool fresh = state.stage != last.stage;
  if (style_ == Style::terminal) {
    keep(state, work);
    last.stage = state.stage;
    if (!fresh && now - last_ < terminal_interval) return;
    last_ = now;
    draw();
  } else if (fresh || (style_ == Style::lines && now - last.when >= std::chrono::duration<double>(interval_))) {
    last = {state.stage, now};
    out_ << format_work(work) << format_progress(state) << std::endl;
  }
}

void ProgressPrinter::keep(const ProgressState& state, const Work& work) {
  for (Running& r : running_)
    if (r.work.name == work.name) {
      r.state = state;
      return;
    }
  const auto after = std::find_if(running_.begin(), running_.end(), [&](const Running& r) { return r.work.number > work.number; });
  running_.insert(after, {work, state});
}

void ProgressPrinter::draw() {
  // Of the last column some terminals make a new line.
  out_ << '\r' << one_line(running_, (width_ > 0 ? width_ : terminal_width()) - 1) << "\x1b[K" << std::flush;  // and what a longer one left goes
  shown_ = true;
}

void ProgressPrinter::finish(const Work& work) {
  std::lock_guard lock(mutex_);
  std::erase_if(running_, [&](const Running& r) { return r.work.name == work.name; });
  if (!shown_) return;
  if (running_.empty()) remove_line();
  else draw();
}

void ProgressPrinter::clear() {
  std::lock_guard lock(mutex_);
  remove_line();
}

void ProgressPrinter::remove_line() {
  if (shown_) out_ << "\r\x1b[K" << std::flush;
  shown_ = false;
}

void ProgressPrinter::note(const std::string& text) {
  if (style_ == Style::warnings && text.find(": warning: ") == std::string::npos) return;
  std::lock_guard lock(mutex_);
  const bool redraw = shown_;
  remove_line();
  out_ << shown(text) << std::endl;
  if (redraw && !running_.empty()) draw();
}

}  // namespace g2s::app
