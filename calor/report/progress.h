// A progress bar with rate and time left on a terminal; plain lines, now and then, where standard
// error is piped.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace calor::report {

// "1 h 02 min", "3 min 20 s", "12 s".
std::string duration_text(double seconds);
// 1,234,567
std::string grouped(std::int64_t number);

class ProgressBar {
 public:
  // `total` units of work, of which `done` were done before. `unit` names them ("img"). Writes to
  // standard error; nothing at all when `quiet`.
  ProgressBar(std::int64_t total, std::int64_t done, std::string unit, bool quiet);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // `note` is shown after the rate, for instance "loss 0.123". Cheap: draws a few times a second.
  void update(std::int64_t done, const std::string& note);
  // A line above the bar.
  void print(const std::string& line);
  // Draws the final state and leaves the line.
  void finish();

  // Units a second since construction.
  double rate() const;

 private:
  void draw(bool final_state);
  std::string line(std::size_t columns) const;

  std::int64_t total_, first_, done_;
  std::string unit_, note_;
  bool quiet_, terminal_, drawn_ = false, finished_ = false;
  std::chrono::steady_clock::time_point start_, last_draw_;
};

// Columns of the terminal on standard error; 80 where it is none.
std::size_t terminal_columns();

}  // namespace calor::report
