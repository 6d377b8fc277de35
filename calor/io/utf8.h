// Whether bytes are UTF-8, as JSON and tables must be.
#pragma once

#include <string_view>

namespace calor::io {

// RFC 3629: no overlong sequences, no surrogates, nothing beyond U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace calor::io
