#include "calor/report/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace calor::report {
namespace {

constexpr double seconds_between_frames = 0.2;
constexpr double seconds_between_lines = 15;

double seconds_since(std::chrono::steady_clock::time_point then) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - then).count();
}

}  // namespace

std::string duration_text(double seconds) {
  const auto s = static_cast<std::int64_t>(std::max(0.0, seconds + 0.5));
  if (s >= 3600) return fmt::format("{} h {:02} min", s / 3600, s / 60 % 60);
  if (s >= 60) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} s", s);
}

std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (auto i = static_cast<std::int64_t>(digits.size()) - 3; i > (number < 0 ? 1 : 0); i -= 3) {
    digits.insert(static_cast<std::size_t>(i), ",");
  }
  return digits;
}

std::size_t terminal_columns() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

ProgressBar::ProgressBar(std::int64_t total, std::int64_t done, std::string unit, bool quiet)
    : total_(total),
      first_(done),
      done_(done),
      unit_(std::move(unit)),
      quiet_(quiet),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      last_draw_(start_) {}

ProgressBar::~ProgressBar() {
  if (terminal_ && drawn_ && !finished_) std::fputc('\n', stderr);
}

double ProgressBar::rate() const {
  const double seconds = seconds_since(start_);
  return seconds > 0 ? static_cast<double>(done_ - first_) / seconds : 0;
}

std::string ProgressBar::line(std::size_t columns) const {
  const double share = total_ > 0 ? static_cast<double>(done_) / static_cast<double>(total_) : 1;
  const double per_second = rate();
  const std::string left =
      per_second > 0 ? duration_text(static_cast<double>(total_ - done_) / per_second) + " left"
                     : "";
  std::string text = fmt::format("{:3.0f} % {} {}", 100 * share, grouped(done_), unit_);
  // What does not fit is left out from the right: the time left matters most after the count.
  for (const std::string& part : {left, fmt::format("{:.0f} {}/s", per_second, unit_), note_}) {
    if (!part.empty() && text.size() + part.size() + 3 < columns) text += "  " + part;
  }
  constexpr std::size_t smallest_bar = 8;
  if (text.size() + smallest_bar + 4 > columns) return text.substr(0, columns - 1);
  const std::size_t width = std::min<std::size_t>(30, columns - text.size() - 4);
  const auto full = static_cast<std::size_t>(share * static_cast<double>(width));
  return fmt::format("[{}{}] {}", std::string(std::min(full, width), '#'),
                     std::string(width - std::min(full, width), '.'), text);
}

void ProgressBar::draw(bool final_state) {
  if (quiet_) return;
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s%s", line(terminal_columns()).c_str(), final_state ? "\n" : "");
  } else {
    std::fprintf(stderr, "%s\n", line(120).c_str());
  }
  std::fflush(stderr);
  drawn_ = true;
  last_draw_ = std::chrono::steady_clock::now();
}

void ProgressBar::update(std::int64_t done, const std::string& note) {
  done_ = done;
  note_ = note;
  const double wait = terminal_ ? seconds_between_frames : seconds_between_lines;
  if (seconds_since(last_draw_) >= wait) draw(false);
}

void ProgressBar::print(const std::string& text) {
  if (quiet_) return;
  std::fprintf(stderr, "%s%s\n", terminal_ && drawn_ ? "\r\033[K" : "", text.c_str());
  std::fflush(stderr);
}

void ProgressBar::finish() {
  if (!finished_) draw(true);
  finished_ = true;
}

}  // namespace calor::report
