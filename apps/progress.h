// Progress as people read it.
#pragma once

#include <chrono>
#include <iosfwd>
#include <map>
#include <mutex>
#include <string>

#include "engine/progress.h"

namespace g2s::app {

// Draws the state of a long run: on a terminal one line that is overwritten, elsewhere nothing or, every `interval` seconds and at each new
// stage of each piece of work, a line of its own. Any thread may call it.
class ProgressPrinter {
 public:
  enum class Style { automatic, warnings, quiet, lines, terminal };
  // `warnings`: no progress, and of notes those alone that warn. `automatic`: terminal if file descriptor 2 is one, else quiet.
  explicit ProgressPrinter(std::ostream& out, Style style = Style::automatic, double interval = 30);
  ~ProgressPrinter();
  ProgressPrinter(const ProgressPrinter&) = delete;
  ProgressPrinter& operator=(const ProgressPrinter&) = delete;

  // `work` says which of several it is, and begins the line.
  void update(const ProgressState& state, const std::string& work = {});
  void clear();                         // removes the line, before something else is printed
  void note(const std::string& text);   // a line that stays

 private:
  struct Shown {
    std::string stage;
    std::chrono::steady_clock::time_point when{};
  };
  void remove_line();

  std::mutex mutex_;
  std::ostream& out_;
  Style style_;
  double interval_;
  std::map<std::string, Shown> shown_of_;  // each piece of work
  std::chrono::steady_clock::time_point last_{};  // of all
  bool shown_ = false;
};

// 75 -> "1:15", 4000 -> "1:06:40".
std::string format_seconds(double seconds);
// "stage 1/1, step 2  120/500  loss 0.4312  3:20 gone, 12:10 left"
std::string format_progress(const ProgressState& state);

}  // namespace g2s::app
