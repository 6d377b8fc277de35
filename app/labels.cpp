#include "app/labels.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "calor/core/error.h"
#include "calor/io/ending.h"

namespace calor::app {
namespace {

std::int64_t class_number(const std::string& text, const data::ItemSpec& pictures) {
  const auto& names = pictures.class_names;
  const auto named = std::find(names.begin(), names.end(), text);
  if (named != names.end()) return named - names.begin();
  if (text == "none") return pictures.classes();
  const auto alike = std::ranges::find(names, io::in_small_letters(text), io::in_small_letters);
  if (alike != names.end()) return alike - names.begin();
  const bool digits = !text.empty() && text.size() < 10 &&
                      text.find_first_not_of("0123456789") == std::string::npos;
  if (digits && std::stoll(text) < pictures.classes()) return std::stoll(text);
  if (names.empty()) {
    throw usage_error("no --label, since the model knows no classes", fmt::format("'{}'", text),
                      "leave --label out");
  }
  const std::string nearest = digits ? std::string{} : nearest_name(text, names);
  throw usage_error(fmt::format("--label 0 to {}, a class name, or none", pictures.classes() - 1),
                    fmt::format("'{}'", text),
                    nearest.empty() ? "see the classes with: calor info"
                                    : fmt::format("did you mean '{}'?", nearest));
}

}  // namespace

at::Tensor cycling_labels(std::int64_t count, std::int64_t classes, std::int64_t columns) {
  if (classes == 0) return at::zeros({count}, at::kLong);
  return (at::arange(count, at::kLong) % columns) % classes;
}

at::Tensor labels_in_shares(std::int64_t count, const std::vector<std::int64_t>& counts) {
  if (counts.empty()) return at::zeros({count}, at::kLong);
  const auto all = static_cast<double>(std::reduce(counts.begin(), counts.end()));
  std::vector<double> given(counts.size());
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < count; ++i) {
    // Who lacks most of its share of the first i + 1; of equals the first.
    std::size_t next = 0;
    double most = -std::numeric_limits<double>::infinity();
    for (std::size_t k = 0; k < counts.size(); ++k) {
      const double lacks =
          static_cast<double>(counts[k]) / all * static_cast<double>(i + 1) - given[k];
      if (lacks > most) {
        most = lacks;
        next = k;
      }
    }
    ++given[next];
    labels.push_back(static_cast<std::int64_t>(next));
  }
  return at::tensor(labels, at::kLong);
}

at::Tensor labels_from(const std::string& text, const data::ItemSpec& pictures, std::int64_t count,
                       std::int64_t columns) {
  if (text.empty()) return cycling_labels(count, pictures.classes(), columns);
  return at::full({count}, class_number(text, pictures), at::kLong);
}

}  // namespace calor::app
