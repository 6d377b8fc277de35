// Telling a want of memory from other failures.
#pragma once

#include <exception>

namespace calor {

// Whether an exception, of LibTorch or of the standard library, says that memory was refused.
bool is_out_of_memory(const std::exception& error);

}  // namespace calor
