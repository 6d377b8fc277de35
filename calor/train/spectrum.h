// The spectrum of a training set, from which the stages of a chain are chosen.
#pragma once

#include "calor/data/dataset.h"
#include "calor/path/arc_length.h"

namespace calor::train {

// Pictures: variance and mean of each DCT coefficient of each channel. Rows: along the principal
// axes. From at most `most` items, evenly spaced over the set.
path::DataSpectrum spectrum_of(const data::Dataset& set, std::int64_t most = 10'000);

}  // namespace calor::train
