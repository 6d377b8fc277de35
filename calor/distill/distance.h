// How far what a student makes is from what it should make.
#pragma once

#include <memory>

#include "calor/data/dataset.h"
#include "calor/distill/lessons.h"
#include "calor/metric/classifier.h"

namespace calor::distill {

// The mean square.
Distance plain_distance();

// The mean square plus the perceptual distance (metric/perceptual.h), which alone would leave open
// what the classifier does not see. UsageError where the items are not pictures of 1 or 3 channels.
Distance perceptual_distance(std::shared_ptr<const metric::Classifier> classifier,
                             const data::ItemSpec& items);

}  // namespace calor::distill
