// What RMS normalisation adds to the mean square.
#pragma once

namespace calor::net::kernels {

inline constexpr double rms_epsilon = 1e-6;

}  // namespace calor::net::kernels
