// Text inside HTML and SVG.
#pragma once

#include <string>
#include <string_view>

namespace calor::report {

// The text with the five characters that mean something there replaced.
std::string escaped(std::string_view text);

}  // namespace calor::report
