#include "calor/policy/make_environment.h"

#include <fmt/format.h>

#include <array>

#include "calor/core/error.h"
#include "calor/policy/pusht.h"
#include "calor/policy/two_ways.h"

namespace calor::policy {
namespace {

template <class Kind>
std::unique_ptr<Environment> make() {
  return std::make_unique<Kind>();
}

struct Entry {
  std::string_view name;
  std::unique_ptr<Environment> (*make)();
};

constexpr std::array<Entry, 2> entries{{{"pusht", make<PushT>}, {"two-ways", make<TwoWays>}}};

}  // namespace

std::vector<std::string> environment_names() {
  std::vector<std::string> names;
  for (const Entry& entry : entries) names.emplace_back(entry.name);
  return names;
}

std::unique_ptr<Environment> make_environment(std::string_view name) {
  for (const Entry& entry : entries) {
    if (entry.name == name) return entry.make();
  }
  const std::vector<std::string> names = environment_names();
  const std::string nearest = nearest_name(name, names);
  throw usage_error(
      fmt::format("an environment: {}", fmt::join(names, ", ")), fmt::format("'{}'", name),
      nearest.empty() ? "choose one of these" : fmt::format("did you mean '{}'?", nearest));
}

}  // namespace calor::policy
