// The precompiled header: LibTorch's ATen and the standard headers that most files need. Parsing
// these takes longer than most of our own files, so they are parsed once per build. A file still
// includes what it uses: this header is a matter of speed only.
#pragma once

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>
