// Cuts rows into pieces for the threads by their number alone, never by the number of threads, so
// that results whose pieces are computed on one thread each are the same on any number.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>

#include <algorithm>
#include <bit>
#include <cstdint>

#include "calor/core/one_thread.h"

namespace calor::net::kernels {

// Rows of a piece, at most `largest`. The number of pieces is a multiple of 8 (of 4, 2 or 1 where
// there are few rows), so that two to eight threads get equal shares.
inline std::int64_t rows_of_piece(std::int64_t rows, std::int64_t largest) {
  const std::int64_t least = std::max<std::int64_t>(largest / 4, 1);
  const auto wanted = static_cast<std::uint64_t>(std::clamp<std::int64_t>(rows / least, 1, 8));
  const auto multiple = static_cast<std::int64_t>(std::bit_floor(wanted));
  const std::int64_t count = (rows + largest - 1) / largest;
  const std::int64_t pieces = std::max((count + multiple - 1) / multiple * multiple, multiple);
  return std::max<std::int64_t>((rows + pieces - 1) / pieces, 1);
}

// body(begin, count) for each piece, on all threads, without autograd.
template <class Body>
void for_row_pieces(std::int64_t rows, std::int64_t largest, const Body& body) {
  const std::int64_t piece = rows_of_piece(rows, largest);
  at::parallel_for(0, (rows + piece - 1) / piece, 1, [&](std::int64_t first, std::int64_t last) {
    compute_alone();
    const at::AutoDispatchBelowADInplaceOrView no_graph;
    for (std::int64_t p = first; p < last; ++p) {
      body(p * piece, std::min(piece, rows - p * piece));
    }
  });
}

}  // namespace calor::net::kernels
