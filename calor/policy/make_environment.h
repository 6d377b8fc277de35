// The environments that there are, by name.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "calor/policy/environment.h"

namespace calor::policy {

std::vector<std::string> environment_names();

// Usage error with the nearest name where there is none.
std::unique_ptr<Environment> make_environment(std::string_view name);

}  // namespace calor::policy
