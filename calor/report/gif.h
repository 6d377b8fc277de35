// Moving pictures: an animated GIF, for rollouts of policies.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <vector>

namespace calor::report {

// Frames uint8 [1 or 3, H, W], all of one size and at most 4096 pixels a side, `fps` a second (0.1
// to 100; GIF counts hundredths of a second), again and again; atomically. All frames share one
// palette: where they have more than 256 colours, those that differ in their lowest bits only
// become their mean. The same frames give the same bytes.
void write_gif(const std::filesystem::path& path, const std::vector<at::Tensor>& frames,
               double fps);

}  // namespace calor::report
