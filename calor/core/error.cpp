#include "calor/core/error.h"

#include <algorithm>
#include <numeric>
#include <system_error>
#include <vector>

namespace calor {

Error::Error(std::string expected, std::string found, std::string hint, ErrorKind kind)
    : std::runtime_error("expected: " + expected + "\nfound:    " + found + "\nto do:    " + hint),
      expected_(std::move(expected)),
      found_(std::move(found)),
      hint_(std::move(hint)),
      kind_(kind) {}

Error usage_error(std::string expected, std::string found, std::string hint) {
  return {std::move(expected), std::move(found), std::move(hint), ErrorKind::usage};
}

void require_usage(bool holds, const std::string& expected, const std::string& found,
                   const std::string& hint) {
  if (!holds) throw usage_error(expected, found, hint);
}

std::string system_error_text(int error_number) {
  return std::system_category().message(error_number);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, substitution});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace calor
