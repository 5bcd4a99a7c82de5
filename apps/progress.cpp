#include "apps/progress.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <ostream>

#include "engine/error.h"
#include "engine/shown.h"

namespace g2s::app {
namespace {

constexpr std::chrono::milliseconds terminal_interval(100);

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

ProgressPrinter::ProgressPrinter(std::ostream& out, Style style, double interval) : out_(out), style_(style), interval_(interval) {
  if (style_ == Style::automatic) style_ = ::isatty(STDERR_FILENO) ? Style::terminal : Style::quiet;
}

ProgressPrinter::~ProgressPrinter() { clear(); }

void ProgressPrinter::update(const ProgressState& state, const std::string& work) {
  if (style_ == Style::quiet || style_ == Style::warnings) return;
  std::lock_guard lock(mutex_);
  Shown& last = shown_of_[work];
  auto now = std::chrono::steady_clock::now();
  bool fresh = state.stage != last.stage;
  bool due = style_ == Style::terminal ? now - last_ >= terminal_interval : now - last.when >= std::chrono::duration<double>(interval_);
  if (!fresh && !due) return;
  last = {state.stage, now};
  last_ = now;
  std::string line = shown(work) + format_progress(state);
  if (style_ == Style::terminal) {
    out_ << '\r' << line << "\x1b[K" << std::flush;  // to the end of the line: what a longer one left
    shown_ = true;
  } else {
    out_ << line << std::endl;
  }
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
  remove_line();
  out_ << shown(text) << std::endl;
}

}  // namespace g2s::app
