// Time grids from noise (0) to data (1).
#pragma once

#include <vector>

#include "calor/path/spectral_path.h"
#include "calor/path/stage_path.h"

namespace calor::solve {

// 0, 1/n, .., 1 in fp32 spacing.
std::vector<double> uniform_grid(std::int64_t steps);

// Every 100/n-th of the uniform grid of 100 steps, counted from the data (the "leading" spacing of
// DDIM): (i + 1)/n - 1/100 for i < n, then 1. The noise is taken to lie at the first of these
// times, where paths that preserve the variance have kept enough signal for a prediction of the
// noise to be divided by. From 100 steps on the uniform grid; UsageError below 4, where they would
// begin far from noise.
std::vector<double> leading_grid(std::int64_t steps);

// Steps of equal change in log(A/S) at lambda = 0 between lo and hi, with 0 before and 1 after; on
// the linear and heat paths that is uniform in logit(t). lo and hi are given as the time of the
// linear path with that log(A/S). 0 stands for the defaults
//     lo = min(.2, max(.02, .4/N)),  hi = 1 - max(.03, 3/N^2).
std::vector<double> log_snr_grid(const path::SpectralPath& path, std::int64_t steps, double lo = 0,
                                 double hi = 0);

// The range of log(A/S) at lambda = 0 that each stage of a chain covers, from data to noise, cut
// off where log_snr_grid begins and ends for this many steps.
std::vector<double> log_snr_ranges(const std::vector<path::StageStep>& steps, std::int64_t count);

// Shares `count` steps out in proportion to `weights`, at least one to each.
std::vector<std::int64_t> share_steps(std::int64_t count, const std::vector<double>& weights);

}  // namespace calor::solve
