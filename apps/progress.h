// Progress as people read it.
#pragma once

#include <chrono>
#include <iosfwd>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "engine/progress.h"

namespace g2s::app {

// One of several pieces of work.
struct Work {
  std::string name;
  std::size_t number = 0, of = 0;  // from 1 on; 0: it is the only one
};

// What is under way, by its number.
struct Running {
  Work work;
  ProgressState state;
};

// Draws the state of a long run: on a terminal one line that is overwritten and fits its width, with all pieces of work side by side; elsewhere
// nothing, or a line of its own at each new stage of each piece, and every `interval` seconds too. Any thread may call it.
class ProgressPrinter {
 public:
  enum class Style { automatic, warnings, quiet, stages, lines, terminal };
  // `warnings`: no progress, and of notes those alone that warn. `automatic`: terminal if file descriptor 2 is one, else stages. `width` of a
  // terminal in columns; 0: asked for each time.
  explicit ProgressPrinter(std::ostream& out, Style style = Style::automatic, double interval = 30, int width = 0);
  ~ProgressPrinter();
  ProgressPrinter(const ProgressPrinter&) = delete;
  ProgressPrinter& operator=(const ProgressPrinter&) = delete;

  void update(const ProgressState& state, const Work& work = {});
  void finish(const Work& work);        // it is under way no longer
  void clear();                         // removes the line, before something else is printed
  void note(const std::string& text);   // a line that stays

 private:
  struct Shown {
    std::string stage;
    std::chrono::steady_clock::time_point when{};
  };
  void keep(const ProgressState& state, const Work& work);
  void draw();
  void remove_line();

  std::mutex mutex_;
  std::ostream& out_;
  Style style_;
  double interval_;
  int width_;
  std::map<std::string, Shown> shown_of_;  // each piece of work by its name
  std::vector<Running> running_;
  std::chrono::steady_clock::time_point last_{};  // of all
  bool shown_ = false;
};

// 75 -> "1:15", 4000 -> "1:06:40".
std::string format_seconds(double seconds);
// "stage 1/1, step 2  120/500  loss 0.4312  3:20 gone, 12:10 left"
std::string format_progress(const ProgressState& state);
// "picture 3 of 6, STEM: ", "STEM: " or nothing.
std::string format_work(const Work& work);

// How many columns a text takes on a terminal: wide characters two, combining ones none.
int columns_of(const std::string& text);
// All that is under way as one line of at most `width` columns: with less and less of each, at last cut off.
std::string one_line(const std::vector<Running>& running, int width);

}  // namespace g2s::app
