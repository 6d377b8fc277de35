// Times of a path by its log(A/S) at lambda = 0, which grows from noise to data and is the natural
// measure of how far along the path a state is.
#pragma once

#include <cstdint>
#include <vector>

#include "calor/path/spectral_path.h"

namespace calor::path {

// log(A/S) at lambda = 0, infinite where A or S is 0.
double log_snr_at(const SpectralPath& path, double t);

// The time at which it reaches `wanted`; the nearer end where it never does.
double time_of_log_snr(const SpectralPath& path, double wanted);

// Times 0 = t_0 < .. < t_pieces = 1 that cut the path's range of log(A/S) into equal pieces. Where
// the range has no end it counts from logit(.02), or up to logit(.97). The cuts into k pieces are
// among those into any multiple of k.
std::vector<double> log_snr_cuts(const SpectralPath& path, std::int64_t pieces);

}  // namespace calor::path
