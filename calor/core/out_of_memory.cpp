#include "calor/core/out_of_memory.h"

#include <new>
#include <string_view>

namespace calor {

// LibTorch's processor allocator has no exception of its own, and the GPU's changed its name.
bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return true;
  const std::string_view text = error.what();
  return text.find("DefaultCPUAllocator") != std::string_view::npos ||
         text.find("out of memory") != std::string_view::npos;
}

}  // namespace calor
