// The one exception of Calor. Every error a person can cause is said in three parts: what was
// expected, what was found (naming the file, key or flag), and what to do about it.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace calor {

enum class ErrorKind {
  failure,  // the work could not be done: exit status 1
  usage,    // the request itself is wrong (flag, key, value): exit status 2
};

class Error : public std::runtime_error {
 public:
  Error(std::string expected, std::string found, std::string hint,
        ErrorKind kind = ErrorKind::failure);

  const std::string& expected() const { return expected_; }
  const std::string& found() const { return found_; }
  const std::string& hint() const { return hint_; }
  ErrorKind kind() const { return kind_; }
  int exit_status() const { return kind_ == ErrorKind::usage ? 2 : 1; }

 private:
  std::string expected_, found_, hint_;
  ErrorKind kind_;
};

// A wrong request: the same three parts, exit status 2.
Error usage_error(std::string expected, std::string found, std::string hint);

// Throws that where the request does not hold.
void require_usage(bool holds, const std::string& expected, const std::string& found,
                   const std::string& hint);

// The last system error (errno) in words, for the "found" part of an error.
std::string system_error_text(int error_number);

// Of `names`, the one nearest to `name` in edit distance; empty where none is near enough
// (distance at most a third of the longer name, at least 1). Used for "did you mean".
template <class Names>
std::string nearest_name(std::string_view name, const Names& names);

// Number of single-character insertions, deletions, substitutions and swaps of neighbours that
// turn `a` into `b` (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b);

template <class Names>
std::string nearest_name(std::string_view name, const Names& names) {
  std::string best;
  std::size_t best_distance = name.size() / 3 + 1;
  for (const auto& candidate : names) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best_distance || (distance == best_distance && best.empty())) {
      best = std::string(candidate);
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace calor
